// Tiles of bf16 products with sums in fp32, as gradients and attention want them.
//
// A tile is kRows x kCols sums; its operands come packed: pairs of neighbours along the sum, those of
// kCols columns side by side, and those of kRows rows side by side or each row in a line of its own.

#pragma once

#include <immintrin.h>

#include <cstdint>

namespace bf16 {

constexpr int kRows = 14;  // 28 registers of sums and 2 of columns, of 32
constexpr int kCols = 32;  // two registers of sums
constexpr int kTileSize = kRows * kCols;

inline __mmask16 first_of_16(int64_t left) {
  return left >= 16 ? 0xffff : left <= 0 ? 0 : 0xffff >> (16 - left);
}

// Sixteen numbers of one row under sixteen of the next, in pairs of bf16.
inline __m512i pairs(__m256i lower, __m256i upper) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(lower),
                         _mm512_slli_epi32(_mm512_cvtepu16_epi32(upper), 16));
}

inline __m256i codes_to_bf16(const int8_t* codes, float scale, __mmask16 there) {
  const __m512i wide = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(there, codes));
  const __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(wide), _mm512_set1_ps(scale));
  return (__m256i)_mm512_cvtneps_pbh(x);
}

// `count` pairs of every row and column. A row's pairs are kPairStep words apart, and rows kRowStep;
// kAdd: what `sums` holds is added to. The sums are locals of this function alone: an array that is
// handed on would live in memory.
template <int kRowStep = 1, int kPairStep = kRows, bool kAdd = false>
inline void tile(const int32_t* rows, const uint8_t* panel, int64_t count, float* sums) {
  __m512 left[kRows], right[kRows];
#pragma GCC unroll 14
  for (int r = 0; r < kRows; ++r) {
    left[r] = kAdd ? _mm512_load_ps(sums + r * kCols) : _mm512_setzero_ps();
    right[r] = kAdd ? _mm512_load_ps(sums + r * kCols + 16) : _mm512_setzero_ps();
  }
  for (int64_t g = 0; g < count; ++g, rows += kPairStep, panel += 4 * kCols) {
    const __m512bh a = (__m512bh)_mm512_loadu_si512(panel);
    const __m512bh b = (__m512bh)_mm512_loadu_si512(panel + 64);
#pragma GCC unroll 14
    for (int r = 0; r < kRows; ++r) {
      const __m512bh x = (__m512bh)_mm512_set1_epi32(rows[r * kRowStep]);
      left[r] = _mm512_dpbf16_ps(left[r], a, x);
      right[r] = _mm512_dpbf16_ps(right[r], b, x);
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < kRows; ++r) {
    _mm512_store_ps(sums + r * kCols, left[r]);
    _mm512_store_ps(sums + r * kCols + 16, right[r]);
  }
}

}  // namespace bf16
