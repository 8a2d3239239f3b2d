// exp of sixteen numbers, to about one unit in the last place of fp32.

#pragma once

#include <immintrin.h>

#include <initializer_list>

// 0 below -87; NaN stays NaN (a maximum is its second operand where one is none).
inline __m512 exponential(__m512 x) {
  const __m512 least = _mm512_set1_ps(-87.0f);
  const __mmask16 there = _mm512_cmp_ps_mask(x, least, _CMP_NLT_UQ);
  x = _mm512_max_ps(least, x);
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);  // ln 2 in two parts
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 y = _mm512_set1_ps(1.0f / 720);  // the series; |r| < 0.35
  for (const float factor : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(factor));
  return _mm512_maskz_scalef_ps(there, y, n);
}
