// The input's gradient, nothing rounded on its way: gradients in bf16 times ternary codes.
//
// dX is the sum over the weights of scale (g codes). A library wants the codes in bf16 in memory and
// rounds every weight's part to bf16 before the parts can be added. Here codes become bf16 while a
// panel is packed, and all parts stay in fp32 until they are whole.

#include <algorithm>
#include <vector>

#include "bf16_tiles.h"
#include "codes.h"
#include "scratch.h"
#include "words.h"

namespace {

using namespace bf16;

constexpr int kTilesDown = 6;  // tiles that share a packed panel
constexpr int kRowsAtOnce = kTilesDown * kRows;
constexpr int64_t kDepth = 2048;  // summed before the sums are put away: rows stay in the cache

struct Part {
  const uint16_t* gradient;  // bf16 [height, out]
  const uint8_t* codes;      // [out, in], packed
  float scale;
  int64_t out;
};

inline int64_t pair_count(int64_t out) { return (out + 1) / 2; }

// Where the packed panels of a part begin: `panels` of each stand one part after the other.
uint8_t* part_of(const std::vector<Part>& parts, uint8_t* packed, int64_t panels, int64_t number) {
  for (int64_t p = 0; p < number; ++p) packed += panels * pair_count(parts[p].out) * 4 * kCols;
  return packed;
}

void pack_codes(const Part& part, int64_t in, int64_t column, uint8_t* packed) {
  const int64_t step = packed_width(in);
  for (int64_t n = 0; n < part.out; n += 2, packed += 4 * kCols) {
    for (int half = 0; half < 2; ++half) {
      const int64_t place = column + 16 * half;
      const uint8_t* at = part.codes + n * step + place / 4;
      const __m256i lower = bf16_of_16(at, in - place);
      const __m256i upper =
          n + 1 < part.out ? bf16_of_16(at + step, in - place) : _mm256_setzero_si256();
      _mm512_storeu_si512(packed + 64 * half, pairs(lower, upper));
    }
  }
}

inline void put_away(const float* sums, float scale, bool first, float* made) {
  const __m512 factor = _mm512_set1_ps(scale);
  for (int64_t at = 0; at < kTileSize; at += 16) {
    const __m512 y = _mm512_mul_ps(_mm512_load_ps(sums + at), factor);
    _mm512_storeu_ps(made + at, first ? y : _mm512_add_ps(_mm512_loadu_ps(made + at), y));
  }
}

// Rows of some panels, of which `left` columns are there, into rows of `in`.
void store(const float* made, int64_t rows, int64_t panels, int64_t left, int64_t in,
           uint16_t* dx) {
  const int64_t columns = std::min(panels * kCols, left);
  for (int64_t r = 0; r < rows; ++r) {
    const float* from = made + r / kRows * panels * kTileSize + r % kRows * kCols;
    for (int64_t column = 0; column < columns; column += 16) {
      const float* at = from + column / kCols * kTileSize + column % kCols;
      const __m256i y = (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(at));
      _mm256_mask_storeu_epi16(dx + r * in + column, first_of_16(columns - column), y);
    }
  }
}

// One thread's rows, and what became of them in `panels` of columns.
struct Block {
  int32_t* rows;
  float* made;

  Block(Scratch& scratch, int64_t panels)
      : rows(scratch.take<int32_t>(kTilesDown * kDepth / 2 * kRows)),
        made(scratch.take<float>(kTilesDown * panels * kTileSize)) {}
};

void multiply(const Part& part, const uint8_t* panel_codes, int64_t panels, int64_t row,
              int64_t count, bool first, const Block& block) {
  const int64_t panel_bytes = pair_count(part.out) * 4 * kCols;
  for (int64_t n = 0; n < part.out; n += kDepth) {
    const int64_t depth = std::min(kDepth, part.out - n);
    for (int64_t r = 0; r < count; r += kRows)
      words_side_by_side<kRows>(part.gradient + (row + r) * part.out + n, 2 * part.out, 2 * depth,
                                static_cast<int>(std::min<int64_t>(kRows, count - r)),
                                block.rows + r * kDepth / 2);
    for (int64_t panel = 0; panel < panels; ++panel) {
      for (int64_t r = 0; r < count; r += kRows) {
        alignas(64) float sums[kTileSize];
        tile(block.rows + r * kDepth / 2,
             panel_codes + panel * panel_bytes + n / 2 * 4 * kCols, pair_count(depth), sums);
        put_away(sums, part.scale, first && n == 0,
                 block.made + (r / kRows * panels + panel) * kTileSize);
      }
    }
  }
}

}  // namespace

// dx [height, in] bf16 is the sum over the parts of (gradient codes) * scale.
extern "C" int64_t bitnet_input_gradient(int count, const uint16_t* const* gradients,
                                         const uint8_t* const* codes, const float* const* scales,
                                         const int64_t* outs, int64_t height, int64_t in,
                                         uint16_t* dx, uint8_t* memory) {
  const int64_t panels = (in + kCols - 1) / kCols;
  const int64_t blocks = (height + kRowsAtOnce - 1) / kRowsAtOnce;
  std::vector<Part> parts;
  int64_t pair_total = 0;
  for (int p = 0; p < count; ++p) {
    parts.push_back({gradients[p], codes[p], *scales[p], outs[p]});
    pair_total += pair_count(outs[p]);
  }
  const int64_t group = pieces_at_once(panels, pair_total * 4 * kCols);
  Scratch scratch(memory);
  auto* const packed = scratch.take<uint8_t>(group * pair_total * 4 * kCols);
  const PerThread own_blocks(scratch, [&](Scratch& own) { return Block(own, group); });
  if (scratch.counts_only()) return scratch.bytes();
#pragma omp parallel
  {
    const Block block = own_blocks.own();
    for (int64_t start = 0; start < panels; start += group) {
      const int64_t here = std::min(group, panels - start);
#pragma omp for schedule(dynamic, 4)
      for (int64_t job = 0; job < count * here; ++job) {
        const Part& part = parts[job / here];
        pack_codes(part, in, (start + job % here) * kCols,
                   part_of(parts, packed, here, job / here) +
                       job % here * pair_count(part.out) * 4 * kCols);
      }
#pragma omp for schedule(dynamic)
      for (int64_t number = 0; number < blocks; ++number) {
        const int64_t row = number * kRowsAtOnce, column = start * kCols;
        const int64_t rows = std::min<int64_t>(kRowsAtOnce, height - row);
        for (int p = 0; p < count; ++p)
          multiply(parts[p], part_of(parts, packed, here, p), here, row, rows, p == 0, block);
        store(block.made, rows, here, in - column, in, dx + row * in + column);
      }
    }
  }
  return scratch.bytes();
}
