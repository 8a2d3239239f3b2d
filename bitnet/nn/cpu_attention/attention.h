// What both directions of attention share: where tensors lie and how operands are packed.
//
// Lanes are queries: a panel of 32 queries stands beside tiles of 14 keys, so the softmax runs down
// the lanes and needs no sums across them. Keys come in chunks of 112.

#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "bf16_tiles.h"
#include "exponential.h"
#include "scratch.h"
#include "words.h"

namespace attention {

using namespace bf16;

constexpr int kTiles = 8;                   // of a chunk
constexpr int kKeys = kTiles * kRows;       // of a chunk
constexpr int kPanelBytes = 4 * kCols;      // of one pair of every lane
constexpr float kLowest = -1e30f;           // below all scores, and finite: no peak is infinite

inline int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

// bf16, channels side by side; steps in numbers.
struct Tensor {
  const uint16_t* data;
  int64_t batch_step, head_step, token_step;

  const uint16_t* at(int64_t batch, int64_t head) const {
    return data + batch * batch_step + head * head_step;
  }
};

struct Problem {
  int64_t batch, heads, kv_heads, length, width;  // width: channels of a head, an even number
  float scale;
  const float* slopes;       // [heads] of ALiBi, or null
  const int32_t* documents;  // [batch, length], or null

  int64_t words() const { return width / 2; }
  int64_t panels() const { return parts(length, kCols); }
  int64_t chunks() const { return parts(length, kKeys); }
  int64_t channel_tiles() const { return parts(width, kRows); }
  int64_t channel_panels() const { return parts(width, kCols); }
  // Written by tiles of channels, and read sixteen channels at once.
  int64_t made_size() const {
    return std::max(channel_tiles() * kRows, parts(width, 16) * 16) * kCols;
  }
};

// 32 rows of words into a panel: their first words side by side, their second words, and so on.
inline void pack_lanes(const uint16_t* rows, int64_t step, int64_t count, int64_t words,
                       uint8_t* panel) {
  for (int half = 0; half < 2; ++half) {
    for (int64_t w = 0; w < words; w += 16) {
      __m512i t[16];
      for (int r = 0; r < 16; ++r) {
        const int64_t row = 16 * half + r;
        t[r] = _mm512_setzero_si512();
        if (row < count)
          t[r] = _mm512_maskz_loadu_epi32(first_of_16(words - w), rows + row * step + 2 * w);
      }
      transpose(t);
      for (int i = 0; i < std::min<int64_t>(16, words - w); ++i)
        _mm512_storeu_si512(panel + (w + i) * kPanelBytes + 64 * half, t[i]);
    }
  }
}

// Sixteen channels of two neighbours among `count` rows, in pairs; rows past the end are 0.
inline __m512i neighbours(const uint16_t* rows, int64_t step, int64_t first, int64_t count,
                          __mmask16 there) {
  const __m256i none = _mm256_setzero_si256();
  const uint16_t* at = rows + first * step;
  const __m256i lower = first < count ? _mm256_maskz_loadu_epi16(there, at) : none;
  const __m256i upper = first + 1 < count ? _mm256_maskz_loadu_epi16(there, at + step) : none;
  return pairs(lower, upper);
}

// A chunk of rows with the sum along its rows: by tiles of 14 channels, pairs of rows in order.
inline void pack_channels(const uint16_t* rows, int64_t step, int64_t count, int64_t width,
                          int32_t* packed) {
  for (int64_t channel = 0; channel < width; channel += kRows) {
    const __mmask16 there = first_of_16(std::min<int64_t>(kRows, width - channel));
    for (int64_t row = 0; row < kKeys; row += 2, packed += kRows)
      _mm512_mask_storeu_epi32(packed, 0x3fff,
                               neighbours(rows + channel, step, row, count, there));
  }
}

// A chunk of rows with the sum along their channels: by tiles of 14 rows.
inline void pack_rows(const uint16_t* rows, int64_t step, int64_t count, int64_t words,
                      int32_t* packed) {
  for (int64_t row = 0; row < kKeys; row += kRows, packed += words * kRows) {
    const int here = static_cast<int>(std::clamp<int64_t>(count - row, 0, kRows));
    words_side_by_side<kRows>(rows + row * step, 2 * step, 4 * words, here, packed);
  }
}

// Channels by lanes become rows of bf16: `made` is [channels, kCols], `factors` one a lane.
inline void store_lanes(const float* made, const __m512 factors[2], int64_t count, int64_t width,
                        uint16_t* to, int64_t step) {
  for (int half = 0; half < 2; ++half) {
    const int64_t here = std::min<int64_t>(16, count - 16 * half);
    for (int64_t channel = 0; channel < width; channel += 16) {
      __m512i t[16];
      for (int c = 0; c < 16; ++c) {
        const __m512 y = _mm512_loadu_ps(made + (channel + c) * kCols + 16 * half);
        t[c] = _mm512_castps_si512(_mm512_mul_ps(y, factors[half]));
      }
      transpose(t);
      for (int64_t lane = 0; lane < here; ++lane) {
        const __m256i y = (__m256i)_mm512_cvtneps_pbh(_mm512_castsi512_ps(t[lane]));
        _mm256_mask_storeu_epi16(to + (16 * half + lane) * step + channel,
                                 first_of_16(width - channel), y);
      }
    }
  }
}

// Sixteen queries that look at keys one after the other.
class Lanes {
 public:
  Lanes(const Problem& problem, int64_t batch, int64_t head, int64_t query)
      : scale_(_mm512_set1_ps(problem.scale)), length_(problem.length), first_(query) {
    const __m512i count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    queries_ = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(query)), count);
    if (problem.slopes != nullptr) slope_ = problem.slopes[head];
    if (problem.documents == nullptr) return;
    documents_ = problem.documents + batch * length_;
    own_ = _mm512_maskz_loadu_epi32(first_of_16(length_ - query), documents_ + query);
  }

  // Whether all of them look at every key before `key`.
  bool see_all_before(int64_t key) const { return documents_ == nullptr && key <= first_ + 1; }

  // What their products with a key become.
  __m512 score(__m512 product, int64_t key) const {
    const __m512 scaled = _mm512_mul_ps(product, scale_);
    if (slope_ == 0.0f) return scaled;
    const __m512i ahead = _mm512_sub_epi32(_mm512_set1_epi32(static_cast<int>(key)), queries_);
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(ahead), _mm512_set1_ps(slope_), scaled);
  }

  __mmask16 who_see(int64_t key) const {
    const __mmask16 later =
        _mm512_cmpge_epi32_mask(queries_, _mm512_set1_epi32(static_cast<int>(key)));
    if (documents_ == nullptr || key >= length_) return later;
    return _mm512_mask_cmpeq_epi32_mask(later, own_, _mm512_set1_epi32(documents_[key]));
  }

 private:
  __m512 scale_;
  int64_t length_, first_;
  __m512i queries_, own_ = _mm512_setzero_si512();
  float slope_ = 0.0f;
  const int32_t* documents_ = nullptr;
};

}  // namespace attention
