// Sixteen numbers of bf16, widened when they are read and rounded once when they are written.

#pragma once

#include <immintrin.h>

#include <cstdint>

inline __m512 load_16(const uint16_t* from, __mmask16 there) {
  const __m512i bits = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
}

inline void write(uint16_t* to, __mmask16 there, __m512 x) {
  _mm256_mask_storeu_epi16(to, there, (__m256i)_mm512_cvtneps_pbh(x));
}
