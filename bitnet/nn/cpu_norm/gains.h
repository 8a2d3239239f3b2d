// A gain's gradient, summed over rows so that its bits do not depend on the threads: the rows of a
// block one after the other, and then the blocks in order.

#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "bf16_tiles.h"

namespace gains {

constexpr int64_t kBlock = 64;     // rows
constexpr int64_t kColumns = 256;  // that a thread adds up at once

inline int64_t blocks_of(int64_t rows) { return (rows + kBlock - 1) / kBlock; }
inline int64_t in_sixteens(int64_t width) { return (width + 15) / 16 * 16; }

// Called by all threads of a team: the blocks' sums [blocks, in_sixteens(width)] become one.
inline void add_up(const float* sums, int64_t blocks, int64_t width, float* d_gain) {
#pragma omp for
  for (int64_t first = 0; first < width; first += kColumns) {
    for (int64_t at = first; at < std::min(first + kColumns, width); at += 16) {
      __m512 sum = _mm512_setzero_ps();
      for (int64_t block = 0; block < blocks; ++block)
        sum = _mm512_add_ps(sum, _mm512_load_ps(sums + block * in_sixteens(width) + at));
      _mm512_mask_storeu_ps(d_gain + at, bf16::first_of_16(width - at), sum);
    }
  }
}

}  // namespace gains
