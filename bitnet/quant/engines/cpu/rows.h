// Numbers in fp32 or bf16, sixteen at a time, and the rounding of a row to 8 bits.

#pragma once

#include <immintrin.h>

#include <cstdint>

#include "numbers.h"

inline __m512 load_16(const float* from, __mmask16 there) {
  return _mm512_maskz_loadu_ps(there, from);
}

// Sixteen results in their format, rounded once to nearest even.
inline void put(float* to, __m512 y, __mmask16 there) { _mm512_mask_storeu_ps(to, there, y); }

inline void put(uint16_t* to, __m512 y, __mmask16 there) {
  const __m512i bits = _mm512_castps_si512(y);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i raised = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(y, y, _CMP_UNORD_Q);
  raised = _mm512_mask_set1_epi32(raised, nan, 0x7fc00000);
  _mm256_mask_storeu_epi16(to, there, _mm512_cvtepi32_epi16(_mm512_srli_epi32(raised, 16)));
}

// Peak below which a row of a gradient counts as nothing (SMALLEST_GRADIENT in activation.py).
constexpr float kSmallestGradient = 1e-30f;

// Codes of a row of a gradient, and its scale: the formula of activation.py, bit for bit. A row with
// a number that is none has the scale NaN, and so have its products.
template <typename T>
float round_row(const T* row, int64_t width, int8_t* codes) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i peaks = _mm512_setzero_si512();  // as integers, where NaN is above all
  for (int64_t k = 0; k < width; k += 16) {
    const __mmask16 there = width - k >= 16 ? 0xffff : 0xffff >> (16 - (width - k));
    const __m512i bits = _mm512_castps_si512(load_16(row + k, there));
    peaks = _mm512_max_epi32(peaks, _mm512_and_si512(bits, magnitude));
  }
  const int32_t highest = _mm512_reduce_max_epi32(peaks);
  float peak;
  __builtin_memcpy(&peak, &highest, 4);
  if (peak < kSmallestGradient) peak = kSmallestGradient;
  const __m512 factor = _mm512_set1_ps((1.0f / peak) * 127.0f);
  for (int64_t k = 0; k < width; k += 16) {
    const __mmask16 there = width - k >= 16 ? 0xffff : 0xffff >> (16 - (width - k));
    const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(load_16(row + k, there), factor));
    _mm_mask_storeu_epi8(codes + k, there, _mm512_cvtsepi32_epi8(rounded));
  }
  return peak / 127.0f;
}
