// Gradients of a plain norm y = x / rms * gain, a row at a time, from x and the rms that forward found.
//
// With n = x / rms and dn = dy * gain: dx = (dn - n * mean(dn * n)) / rms, and d_gain is the sum of
// dy * n over rows. A compiler reads all rows once more for d_gain, column by column.

#include "gains.h"
#include "numbers.h"
#include "scratch.h"

namespace {

using bf16::first_of_16;

struct Norm {
  const uint16_t* x;  // bf16 [rows, width]
  const float *gain, *inverse_rms;
  int64_t rows, width;
};

// dy * n is added to `sums`, and mean(dn * n) is told.
float look(const Norm& p, int64_t row, const uint16_t* dy, float* sums) {
  const uint16_t* x = p.x + row * p.width;
  const __m512 inverse = _mm512_set1_ps(p.inverse_rms[row]);
  __m512 total = _mm512_setzero_ps();
  for (int64_t at = 0; at < p.width; at += 16) {
    const __mmask16 there = first_of_16(p.width - at);
    const __m512 n = _mm512_mul_ps(load_16(x + at, there), inverse);
    const __m512 share = _mm512_mul_ps(load_16(dy + at, there), n);
    _mm512_store_ps(sums + at, _mm512_add_ps(_mm512_load_ps(sums + at), share));
    total = _mm512_fmadd_ps(share, _mm512_maskz_loadu_ps(there, p.gain + at), total);
  }
  return _mm512_reduce_add_ps(total) / static_cast<float>(p.width);
}

// dx takes the place of dy.
void change(const Norm& p, int64_t row, float mean, uint16_t* dy) {
  const uint16_t* x = p.x + row * p.width;
  const __m512 inverse = _mm512_set1_ps(p.inverse_rms[row]), middle = _mm512_set1_ps(mean);
  for (int64_t at = 0; at < p.width; at += 16) {
    const __mmask16 there = first_of_16(p.width - at);
    const __m512 n = _mm512_mul_ps(load_16(x + at, there), inverse);
    const __m512 dn = _mm512_mul_ps(load_16(dy + at, there), _mm512_maskz_loadu_ps(there, p.gain + at));
    write(dy + at, there, _mm512_mul_ps(_mm512_fnmadd_ps(n, middle, dn), inverse));
  }
}

}  // namespace

// dy [rows, width] becomes dx; d_gain is [width].
extern "C" int64_t bitnet_norm_gradient(const uint16_t* x, const float* gain,
                                        const float* inverse_rms, int64_t rows, int64_t width,
                                        uint16_t* dy, float* d_gain, uint8_t* memory) {
  const Norm p{x, gain, inverse_rms, rows, width};
  const int64_t blocks = gains::blocks_of(rows), step = gains::in_sixteens(width);
  Scratch scratch(memory);
  auto* const sums = scratch.take<float>(blocks * step);
  if (scratch.counts_only()) return scratch.bytes();
#pragma omp parallel
  {
#pragma omp for schedule(dynamic)
    for (int64_t block = 0; block < blocks; ++block) {
      float* const own = sums + block * step;
      std::fill_n(own, step, 0.0f);
      for (int64_t row = block * gains::kBlock;
           row < std::min((block + 1) * gains::kBlock, rows); ++row) {
        uint16_t* const dy_row = dy + row * width;
        change(p, row, look(p, row, dy_row, own), dy_row);
      }
    }
    gains::add_up(sums, blocks, width, d_gain);
  }
  return scratch.bytes();
}
