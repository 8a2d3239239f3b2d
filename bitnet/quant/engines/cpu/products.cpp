// Products of int8 codes with ternary codes, scaled and rounded while the sums are in registers.
//
// A library's int8 product leaves int32 sums in memory, to be read again and scaled: eight bytes
// moved for every two of result, mostly in fresh pages. Here a tile's sums never leave the core.
// Sums are exact: the instruction multiplies unsigned by signed bytes without saturation, so
// weights enter as code + 1 in {0, 1, 2}, and the sum of a row's own codes is taken off again.

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "codes.h"
#include "rows.h"
#include "scratch.h"
#include "words.h"

namespace {

constexpr int kRows = 14;        // of a tile: 28 sums and 2 weights of the 32 registers
constexpr int kCols = 32;        // of a tile: two registers of sums
constexpr int kTilesDown = 8;    // tiles that share a packed panel of weights
constexpr int kRowsAtOnce = kRows * kTilesDown;

struct Rows {                    // signed codes, or numbers that are rounded to codes here
  const int8_t* codes;           // row-major; null: there are numbers
  const float* scales;           // one a row, of the codes
  const void* numbers;           // row-major
  int64_t width;                 // the length of the sums
};

struct Weights {                 // ternary codes [out, in], packed
  const uint8_t* codes;
  float scale;
  int64_t out, in;
  bool through;                  // sum over `out` (input gradient) instead of over `in`

  const uint8_t* at(int64_t row, int64_t column) const {
    return codes + row * packed_width(in) + column / 4;
  }
};

inline int64_t groups(int64_t width) { return (width + 3) / 4; }

int32_t sum_of(const int8_t* codes, int64_t width) {
  __m512i total = _mm512_setzero_si512();
  const __m512i ones = _mm512_set1_epi8(1);
  for (int64_t k = 0; k < width; k += 64) {
    const __m512i here = _mm512_maskz_loadu_epi8(first_of_64(width - k), codes + k);
    total = _mm512_dpbusd_epi32(total, ones, here);
  }
  return _mm512_reduce_add_epi32(total);
}

// A panel of kCols results: for every four terms, the four (code + 1) of each result. Bytes past
// the end are 0, so whatever stands beside them adds nothing.
void pack_along(const Weights& w, int64_t first, uint8_t* packed) {
  for (int half = 0; half < 2; ++half) {
    const int64_t base = first + 16 * half;
    for (int64_t k = 0; k < w.in; k += 64) {
      __m512i t[16];
      for (int r = 0; r < 16; ++r) {
        t[r] = _mm512_setzero_si512();
        if (base + r < w.out) t[r] = raised_64(w.at(base + r, k), w.in - k);
      }
      transpose(t);
      const int count = static_cast<int>(std::min<int64_t>(16, groups(w.in) - k / 4));
      for (int g = 0; g < count; ++g)
        _mm512_storeu_si512(packed + (k / 4 + g) * 4 * kCols + 64 * half, t[g]);
    }
  }
}

void pack_through(const Weights& w, int64_t first, uint8_t* packed) {
  for (int64_t g = 0; g < groups(w.out); ++g) {
    __m256i row[4];
    for (int r = 0; r < 4; ++r) {
      const int64_t n = 4 * g + r;
      row[r] = _mm256_setzero_si256();
      if (n < w.out) row[r] = raised_32(w.at(n, first), w.in - first);
    }
    const __m256i ab_low = _mm256_unpacklo_epi8(row[0], row[1]);
    const __m256i ab_high = _mm256_unpackhi_epi8(row[0], row[1]);
    const __m256i cd_low = _mm256_unpacklo_epi8(row[2], row[3]);
    const __m256i cd_high = _mm256_unpackhi_epi8(row[2], row[3]);
    const __m256i q0 = _mm256_unpacklo_epi16(ab_low, cd_low);    // results 0-3, 16-19
    const __m256i q1 = _mm256_unpackhi_epi16(ab_low, cd_low);    // 4-7, 20-23
    const __m256i q2 = _mm256_unpacklo_epi16(ab_high, cd_high);  // 8-11, 24-27
    const __m256i q3 = _mm256_unpackhi_epi16(ab_high, cd_high);  // 12-15, 28-31
    auto* to = reinterpret_cast<__m256i*>(packed + g * 4 * kCols);
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(q0, q1, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(q2, q3, 0x20));
    _mm256_storeu_si256(to + 2, _mm256_permute2x128_si256(q0, q1, 0x31));
    _mm256_storeu_si256(to + 3, _mm256_permute2x128_si256(q2, q3, 0x31));
  }
}

// The sums of one tile, kRows x kCols. They are locals of this function alone: an array that is
// handed on would live in memory and be loaded and stored in every step.
inline void tile(const int8_t* rows, const uint8_t* panel, int64_t count, int32_t* sums) {
  __m512i left[kRows], right[kRows];
#pragma GCC unroll 14
  for (int r = 0; r < kRows; ++r) left[r] = right[r] = _mm512_setzero_si512();
  const auto* at = reinterpret_cast<const int32_t*>(rows);
  for (int64_t g = 0; g < count; ++g, at += kRows, panel += 4 * kCols) {
    const __m512i a = _mm512_loadu_si512(panel), b = _mm512_loadu_si512(panel + 64);
#pragma GCC unroll 14
    for (int r = 0; r < kRows; ++r) {
      const __m512i x = _mm512_set1_epi32(at[r]);
      left[r] = _mm512_dpbusd_epi32(left[r], a, x);
      right[r] = _mm512_dpbusd_epi32(right[r], b, x);
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < kRows; ++r) {
    _mm512_store_si512(sums + r * kCols, left[r]);
    _mm512_store_si512(sums + r * kCols + 16, right[r]);
  }
}

// What one tile adds up, scaled: of the first part it is set, of the others added.
inline void scale(const int32_t* sums, const int32_t* own, const float* scales, int count,
                  bool first, float* made) {
  for (int r = 0; r < count; ++r) {
    const __m512i taken = _mm512_set1_epi32(own[r]);
    const __m512 factor = _mm512_set1_ps(scales[r]);
    for (int half = 0; half < 2; ++half) {
      const int64_t place = r * kCols + 16 * half;
      float* at = made + place;
      const __m512i sum = _mm512_sub_epi32(_mm512_load_si512(sums + place), taken);
      __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor);
      if (!first) y = _mm512_add_ps(_mm512_loadu_ps(at), y);
      _mm512_storeu_ps(at, y);
    }
  }
}

template <typename T>
void store(const float* made, int rows, int64_t cols, T* y, int64_t stride) {
  for (int r = 0; r < rows; ++r) {
    for (int half = 0; half < 2; ++half) {
      const int64_t left = cols - 16 * half;
      if (left <= 0) break;
      const __mmask16 there = left >= 16 ? 0xffff : 0xffff >> (16 - left);
      put(y + r * stride + 16 * half, _mm512_loadu_ps(made + r * kCols + 16 * half), there);
    }
  }
}

struct Packed {      // rows of one block and part, ready for tiles
  int8_t* rounded;   // codes of rows that came as numbers
  int8_t* codes;
  int32_t* own;      // sums of each row's codes
  float* factors;    // the row's scale times the weight's

  Packed(Scratch& scratch, const Rows& rows)
      : rounded(scratch.take<int8_t>(rows.codes == nullptr ? kRowsAtOnce * rows.width : 0)),
        codes(scratch.take<int8_t>(kRowsAtOnce * 4 * groups(rows.width))),
        own(scratch.take<int32_t>(kRowsAtOnce)),
        factors(scratch.take<float>(kRowsAtOnce)) {}
};

std::vector<Packed> take_packed(Scratch& scratch, const Rows* rows, int parts) {
  std::vector<Packed> packed;
  for (int p = 0; p < parts; ++p) packed.emplace_back(scratch, rows[p]);
  return packed;
}

template <typename T>
void pack_block(const Rows& rows, float scale, int64_t first, int64_t count,
                const Packed& packed) {
  const int64_t width = rows.width, tile_bytes = kRows * 4 * groups(width);
  const int8_t* codes = rows.codes == nullptr ? packed.rounded : rows.codes + first * width;
  for (int64_t r = 0; r < count; ++r) {
    float own;
    if (rows.codes == nullptr) {
      const T* numbers = static_cast<const T*>(rows.numbers) + (first + r) * width;
      own = round_row(numbers, width, packed.rounded + r * width);
    } else {
      own = rows.scales[first + r];
    }
    packed.factors[r] = own * scale;
    packed.own[r] = sum_of(codes + r * width, width);
  }
  for (int64_t r = 0; r < count; r += kRows) {
    const int here = static_cast<int>(std::min<int64_t>(kRows, count - r));
    words_side_by_side<kRows>(codes + r * width, width, width, here,
                              packed.codes + r / kRows * tile_bytes);
  }
}

template <typename T>
int64_t products(const Rows* rows, const Weights* weights, int parts, int64_t height, int64_t out,
                 T* y, uint8_t* memory) {
  const int64_t panels = (out + kCols - 1) / kCols;
  int64_t panel_bytes = 0;  // of a panel of every part
  std::vector<int64_t> places;
  for (int p = 0; p < parts; ++p) {
    places.push_back(panel_bytes);
    panel_bytes += kCols * 4 * groups(rows[p].width);
  }
  const int64_t group = pieces_at_once(panels, panel_bytes);
  Scratch scratch(memory);
  auto* const packed_weights = scratch.take<uint8_t>(group * panel_bytes);
  const PerThread own_packed(scratch,
                             [&](Scratch& own) { return take_packed(own, rows, parts); });
  if (scratch.counts_only()) return scratch.bytes();
  const int64_t blocks = (height + kRowsAtOnce - 1) / kRowsAtOnce;
#pragma omp parallel
  {
    const std::vector<Packed> packed = own_packed.own();
    for (int64_t start = 0; start < panels; start += group) {
      const int64_t here = std::min(group, panels - start);
#pragma omp for schedule(dynamic, 4)
      for (int64_t job = 0; job < parts * here; ++job) {
        const int64_t p = job / here, panel = job % here;
        uint8_t* to = packed_weights + panel * panel_bytes + places[p];
        if (weights[p].through) pack_through(weights[p], (start + panel) * kCols, to);
        else pack_along(weights[p], (start + panel) * kCols, to);
      }
#pragma omp for schedule(dynamic)
      for (int64_t block = 0; block < blocks; ++block) {
        const int64_t first = block * kRowsAtOnce;
        const int64_t count = std::min<int64_t>(kRowsAtOnce, height - first);
        for (int p = 0; p < parts; ++p)
          pack_block<T>(rows[p], weights[p].scale, first, count, packed[p]);
        for (int64_t panel = 0; panel < here; ++panel) {
          const int64_t column = (start + panel) * kCols;
          for (int64_t r = 0; r < count; r += kRows) {
            const int in_tile = static_cast<int>(std::min<int64_t>(kRows, count - r));
            alignas(64) float made[kRows * kCols];
            for (int p = 0; p < parts; ++p) {
              const int64_t length = groups(rows[p].width);
              alignas(64) int32_t sums[kRows * kCols];
              tile(packed[p].codes + r * 4 * length,
                   packed_weights + panel * panel_bytes + places[p], length, sums);
              scale(sums, packed[p].own + r, packed[p].factors + r, in_tile, p == 0, made);
            }
            store(made, in_tile, out - column, y + (first + r) * out + column, out);
          }
        }
      }
    }
  }
  return scratch.bytes();
}

}  // namespace

// y [height, out] = (codes weights') * scales * weight_scale; `wide` asks for fp32, else bf16.
extern "C" int64_t bitnet_product(const int8_t* codes, const float* scales,
                                  const uint8_t* weights, const float* weight_scale,
                                  int64_t height, int64_t out, int64_t in, int wide, void* y,
                                  uint8_t* memory) {
  const Rows rows{codes, scales, nullptr, in};
  const Weights factors{weights, *weight_scale, out, in, false};
  if (wide) return products(&rows, &factors, 1, height, out, static_cast<float*>(y), memory);
  return products(&rows, &factors, 1, height, out, static_cast<uint16_t*>(y), memory);
}

// dx [height, in] is the sum over the parts of (gradient weights) * weight_scale, every row of a
// gradient rounded to 8 bits; gradients and dx in fp32 if `wide`, else in bf16.
extern "C" int64_t bitnet_rounded_input_gradient(int parts, const void* const* gradients,
                                                 const uint8_t* const* weights,
                                                 const float* const* weight_scales,
                                                 const int64_t* outs, int64_t height, int64_t in,
                                                 int wide, void* dx, uint8_t* memory) {
  std::vector<Rows> rows;
  std::vector<Weights> factors;
  for (int p = 0; p < parts; ++p) {
    rows.push_back({nullptr, nullptr, gradients[p], outs[p]});
    factors.push_back({weights[p], *weight_scales[p], outs[p], in, true});
  }
  const Rows* const each = rows.data();
  const Weights* const factor = factors.data();
  if (wide) return products(each, factor, parts, height, in, static_cast<float*>(dx), memory);
  return products(each, factor, parts, height, in, static_cast<uint16_t*>(dx), memory);
}

extern "C" int bitnet_runs_here() {
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
