// Rows into columns, four bytes at a time: how operands come to lie side by side for the tiles.

#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

// 16 x 16 numbers of 32 bits, columns for rows.
inline void transpose(__m512i t[16]) {
  __m512i u[16];
  for (int i = 0; i < 16; i += 2) {
    u[i] = _mm512_unpacklo_epi32(t[i], t[i + 1]);
    u[i + 1] = _mm512_unpackhi_epi32(t[i], t[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    t[i] = _mm512_unpacklo_epi64(u[i], u[i + 2]);
    t[i + 1] = _mm512_unpackhi_epi64(u[i], u[i + 2]);
    t[i + 2] = _mm512_unpacklo_epi64(u[i + 1], u[i + 3]);
    t[i + 3] = _mm512_unpackhi_epi64(u[i + 1], u[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    u[i] = _mm512_shuffle_i32x4(t[i], t[i + 4], 0x88);
    u[i + 4] = _mm512_shuffle_i32x4(t[i], t[i + 4], 0xdd);
    u[i + 8] = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0x88);
    u[i + 12] = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(u[i], u[i + 8], 0x88);
    t[i + 8] = _mm512_shuffle_i32x4(u[i], u[i + 8], 0xdd);
    t[i + 4] = _mm512_shuffle_i32x4(u[i + 4], u[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(u[i + 4], u[i + 12], 0xdd);
  }
}

// The words of up to `Rows` (at most 16) rows side by side: first words, second words, and so on.
// Rows that are not there, and bytes past a row's end, are 0.
template <int Rows>
void words_side_by_side(const void* rows, int64_t stride, int64_t bytes, int count, void* packed) {
  const auto* from = static_cast<const uint8_t*>(rows);
  auto* to = static_cast<int32_t*>(packed);
  const __mmask16 lanes = 0xffff >> (16 - Rows);
  for (int64_t at = 0; at < bytes; at += 64) {
    const int64_t left = bytes - at;
    const __mmask64 there = left >= 64 ? ~0ULL : ~0ULL >> (64 - left);
    __m512i t[16];
    for (int r = 0; r < 16; ++r)
      t[r] = r < count ? _mm512_maskz_loadu_epi8(there, from + r * stride + at)
                       : _mm512_setzero_si512();
    transpose(t);
    const int words = static_cast<int>(std::min<int64_t>(16, (left + 3) / 4));
    for (int w = 0; w < words; ++w, to += Rows) _mm512_mask_storeu_epi32(to, lanes, t[w]);
  }
}
