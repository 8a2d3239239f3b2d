// The weight gradient: bf16 products of the outputs' gradient with the codes that were kept.
//
// dW = g' x sums over the tokens. A library takes x in bf16, so the codes would be made bf16 in
// memory first; here they become bf16 while a panel is packed. Sums are fp32 and stay so: the
// gradient of an fp32 weight is not rounded on its way.

#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "bf16_tiles.h"
#include "scratch.h"

namespace {

using namespace bf16;

constexpr int kTilesDown = 6;      // tiles that share a packed panel, at most
constexpr int64_t kTokens = 2048;  // summed before the sums are put away: panels stay in the cache
constexpr int64_t kPairs = kTokens / 2;

struct Problem {
  const uint16_t* gradient;  // bf16 [tokens, out]
  const int8_t* codes;       // [tokens, in]
  const float* scales;       // [tokens]
  int64_t tokens, out, in;
};

void pack_codes(const Problem& p, int64_t token, int64_t count, int64_t column, uint8_t* packed) {
  for (int64_t t = 0; t < count; t += 2) {
    const int64_t at = token + t;
    const bool second = t + 1 < count;
    for (int half = 0; half < 2; ++half) {
      const int64_t place = column + 16 * half;
      const __mmask16 there = first_of_16(p.in - place);
      const __m256i lower = codes_to_bf16(p.codes + at * p.in + place, p.scales[at], there);
      const __m256i upper = second ? codes_to_bf16(p.codes + (at + 1) * p.in + place,
                                                   p.scales[at + 1], there)
                                   : _mm256_setzero_si256();
      _mm512_storeu_si512(packed + t / 2 * 4 * kCols + 64 * half, pairs(lower, upper));
    }
  }
}

void pack_gradient(const Problem& p, int64_t token, int64_t count, int64_t row, int32_t* packed) {
  const __mmask16 there = first_of_16(std::min<int64_t>(kRows, p.out - row));
  for (int64_t t = 0; t < count; t += 2) {
    const uint16_t* at = p.gradient + (token + t) * p.out + row;
    const __m256i lower = _mm256_maskz_loadu_epi16(there, at);
    const __m256i upper =
        t + 1 < count ? _mm256_maskz_loadu_epi16(there, at + p.out) : _mm256_setzero_si256();
    _mm512_mask_storeu_epi32(packed + t / 2 * kRows, 0x3fff, pairs(lower, upper));
  }
}

void put(const Problem& p, const float* sums, int64_t row, int64_t column, bool first, float* dw) {
  const int64_t rows = std::min<int64_t>(kRows, p.out - row);
  for (int64_t r = 0; r < rows; ++r) {
    for (int half = 0; half < 2; ++half) {
      const int64_t place = column + 16 * half;
      const __mmask16 there = first_of_16(p.in - place);
      float* to = dw + (row + r) * p.in + place;
      __m512 sum = _mm512_load_ps(sums + r * kCols + 16 * half);
      if (!first) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(there, to), sum);
      _mm512_mask_storeu_ps(to, there, sum);
    }
  }
}

}  // namespace

// dw [out, in] fp32 = gradient' (codes * scales), operands in bf16.
extern "C" int64_t bitnet_weight_gradient(const uint16_t* gradient, const int8_t* codes,
                                          const float* scales, int64_t tokens, int64_t out,
                                          int64_t in, float* dw, uint8_t* memory) {
  const Problem problem{gradient, codes, scales, tokens, out, in};
  const int64_t panels = (in + kCols - 1) / kCols;
  const int64_t panel_bytes = kPairs * 4 * kCols;
  const int64_t group = pieces_at_once(panels, panel_bytes);
  Scratch scratch(memory);
  auto* const packed_codes = scratch.take<uint8_t>(group * panel_bytes);
  const PerThread own_rows(
      scratch, [](Scratch& own) { return own.take<int32_t>(kTilesDown * kPairs * kRows); });
  if (scratch.counts_only()) return scratch.bytes();
  const int64_t groups = (panels + group - 1) / group, steps = (tokens + kTokens - 1) / kTokens;
  // As many blocks for every thread, of as many tiles as can be: a narrow layer has few of them.
  const int64_t tiles = (out + kRows - 1) / kRows, threads = omp_get_max_threads();
  const int64_t turns = (tiles + threads * kTilesDown - 1) / (threads * kTilesDown);
  const int64_t blocks = std::min(turns * threads, tiles);
#pragma omp parallel
  {
    int32_t* const rows = own_rows.own();
    for (int64_t job = 0; job < steps * groups; ++job) {
      const int64_t token = job / groups * kTokens, count = std::min(kTokens, tokens - token);
      const int64_t start = job % groups * group, here = std::min(group, panels - start);
#pragma omp for schedule(dynamic, 2)
      for (int64_t panel = 0; panel < here; ++panel)
        pack_codes(problem, token, count, (start + panel) * kCols,
                   packed_codes + panel * panel_bytes);
#pragma omp for schedule(dynamic)
      for (int64_t block = 0; block < blocks; ++block) {
        const int64_t first = block * tiles / blocks * kRows;
        const int64_t end = std::min((block + 1) * tiles / blocks * kRows, out);
        for (int64_t row = first; row < end; row += kRows)
          pack_gradient(problem, token, count, row,
                        rows + (row - first) / kRows * kPairs * kRows);
        for (int64_t panel = 0; panel < here; ++panel) {
          for (int64_t row = first; row < end; row += kRows) {
            alignas(64) float sums[kRows * kCols];
            tile(rows + (row - first) / kRows * kPairs * kRows,
                 packed_codes + panel * panel_bytes, (count + 1) / 2, sums);
            put(problem, sums, row, (start + panel) * kCols, token == 0, dw);
          }
        }
      }
    }
  }
  return scratch.bytes();
}

extern "C" int bitnet_has_bf16() { return __builtin_cpu_supports("avx512bf16"); }
