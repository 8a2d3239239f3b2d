// Ternary codes at 2 bits, as packed_rows.py lays them out: four neighbours of a row share a byte, the
// first in the lowest bits, as code + 1. Unpacked in registers, so memory never holds a byte a code.

#pragma once

#include <immintrin.h>

#include <cstdint>

// Bytes of a packed row of `width` codes.
inline int64_t packed_width(int64_t width) { return (width + 3) / 4; }

// Which of 64, 32 or 16 codes, or bytes of codes, are there when `left` are.
inline __mmask64 first_of_64(int64_t left) { return left >= 64 ? ~0ULL : ~0ULL >> (64 - left); }
inline __mmask32 first_of_32(int64_t left) { return left >= 32 ? ~0U : ~0U >> (32 - left); }
inline __mmask16 bytes_of(int64_t left, int64_t most) {
  return 0xffff >> (16 - packed_width(left < most ? left : most));
}

// Code + 1 of the next 64 columns, of which `left` are there; the others are 0.
inline __m512i raised_64(const uint8_t* packed, int64_t left) {
  const __m512i quads = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(bytes_of(left, 64), packed));
  const __m512i both = _mm512_or_si512(quads, _mm512_slli_epi32(quads, 6));
  const __m512i all = _mm512_or_si512(both, _mm512_slli_epi32(both, 12));
  const __m512i two_bits = _mm512_set1_epi8(3);
  return _mm512_maskz_mov_epi8(first_of_64(left), _mm512_and_si512(all, two_bits));
}

// The same of 32 columns.
inline __m256i raised_32(const uint8_t* packed, int64_t left) {
  const __m256i quads = _mm256_cvtepu8_epi32(_mm_maskz_loadu_epi8(bytes_of(left, 32), packed));
  const __m256i both = _mm256_or_si256(quads, _mm256_slli_epi32(quads, 6));
  const __m256i all = _mm256_or_si256(both, _mm256_slli_epi32(both, 12));
  const __m256i two_bits = _mm256_set1_epi8(3);
  return _mm256_maskz_mov_epi8(first_of_32(left), _mm256_and_si256(all, two_bits));
}

// Sixteen columns as bf16; those that are not there are 0.
inline __m256i bf16_of_16(const uint8_t* packed, int64_t left) {
  if (left <= 0) return _mm256_setzero_si256();
  const __m128i quads = _mm_cvtepu8_epi32(_mm_maskz_loadu_epi8(bytes_of(left, 16), packed));
  const __m128i both = _mm_or_si128(quads, _mm_slli_epi32(quads, 6));
  const __m128i all = _mm_or_si128(both, _mm_slli_epi32(both, 12));
  const __m256i raised = _mm256_cvtepu8_epi16(_mm_and_si128(all, _mm_set1_epi8(3)));
  const __m256i numbers = _mm256_set1_epi64x(0x00003f800000bf80);  // -1, 0 and 1
  const __mmask16 there = left >= 16 ? 0xffff : 0xffff >> (16 - left);
  return _mm256_maskz_permutexvar_epi16(there, raised, numbers);
}
