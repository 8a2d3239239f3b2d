// Gradients of the gated norm, a row at a time, from gate, up and the rms that forward found.
//
// With n = h / rms and dn = dy * gain: dh = (dn - n * mean(dn * n)) / rms, d_up = dh * act(gate),
// d_gate = dh * up * act'(gate), and d_gain is the sum of dy * n over rows.

#include "gains.h"
#include "gated_norm.h"

namespace {

using namespace gains;
using namespace gated_norm;

// First look at a row: cores are kept, dy * n is added to `gains`, and mean(dn * n) is told.
template <typename Activation>
float look(const uint16_t* gate, const uint16_t* up, const uint16_t* dy, const float* gain,
           float inverse_rms, int64_t width, float* cores, float* gains) {
  const __m512 inverse = _mm512_set1_ps(inverse_rms);
  __m512 sum = _mm512_setzero_ps();
  for (int64_t at = 0; at < width; at += 16) {
    const __mmask16 there = first_of_16(width - at);
    const __m512 x = load_16(gate + at, there), core = Activation::core(x);
    const __m512 h = _mm512_mul_ps(Activation::value(x, core), load_16(up + at, there));
    const __m512 share = _mm512_mul_ps(load_16(dy + at, there), _mm512_mul_ps(h, inverse));
    _mm512_store_ps(cores + at, core);
    _mm512_store_ps(gains + at, _mm512_add_ps(_mm512_load_ps(gains + at), share));
    sum = _mm512_fmadd_ps(share, _mm512_maskz_loadu_ps(there, gain + at), sum);
  }
  return _mm512_reduce_add_ps(sum) / static_cast<float>(width);
}

// Second look: d_up takes the place of dy.
template <typename Activation>
void change(const uint16_t* gate, const uint16_t* up, const float* gain, const float* cores,
            float inverse_rms, float mean, int64_t width, uint16_t* dy, uint16_t* d_gate,
            const uint16_t* next_gate, const uint16_t* next_up) {
  const __m512 inverse = _mm512_set1_ps(inverse_rms), middle = _mm512_set1_ps(mean);
  for (int64_t at = 0; at < width; at += 16) {
    const __mmask16 there = first_of_16(width - at);
    expect(next_gate + at);
    expect(next_up + at);
    expect(dy + width + at);
    const __m512 core = _mm512_load_ps(cores + at), u = load_16(up + at, there);
    const __m512 value = Activation::value(load_16(gate + at, there), core);
    const __m512 n = _mm512_mul_ps(_mm512_mul_ps(value, u), inverse);
    const __m512 dn =
        _mm512_mul_ps(load_16(dy + at, there), _mm512_maskz_loadu_ps(there, gain + at));
    const __m512 dh = _mm512_mul_ps(_mm512_fnmadd_ps(n, middle, dn), inverse);
    write(dy + at, there, _mm512_mul_ps(dh, value));
    write(d_gate + at, there,
          _mm512_mul_ps(_mm512_mul_ps(dh, u), Activation::slope(value, core)));
  }
}

template <typename Activation>
int64_t make_all(const Problem& p, const float* inverse_rms, uint16_t* dy, uint16_t* d_gate,
                 float* d_gain, uint8_t* memory) {
  const int64_t blocks = blocks_of(p.rows), step = in_sixteens(p.width);
  Scratch scratch(memory);
  auto* const gains = scratch.take<float>(blocks * step);
  const auto own_cores = own_rows(scratch, p.width);
  if (scratch.counts_only()) return scratch.bytes();
#pragma omp parallel
  {
    float* const cores = own_cores.own();
#pragma omp for schedule(dynamic)
    for (int64_t block = 0; block < blocks; ++block) {
      float* const own = gains + block * step;
      std::fill_n(own, step, 0.0f);
      for (int64_t row = block * kBlock; row < std::min((block + 1) * kBlock, p.rows); ++row) {
        const uint16_t *const gate = p.gate.at(row), *const up = p.up.at(row);
        uint16_t* const dy_row = dy + row * p.width;
        const float mean = look<Activation>(gate, up, dy_row, p.gain, inverse_rms[row], p.width,
                                            cores, own);
        change<Activation>(gate, up, p.gain, cores, inverse_rms[row], mean, p.width, dy_row,
                           d_gate + row * p.width, p.gate.at(row + 1), p.up.at(row + 1));
      }
    }
    add_up(gains, blocks, p.width, d_gain);
  }
  return scratch.bytes();
}

}  // namespace

// d_gate [rows, width] in bf16 and d_gain [width]; dy [rows, width] becomes d_up.
extern "C" int64_t bitnet_gated_norm_gradient(const gated_norm::Problem* problem,
                                              const float* inverse_rms, uint16_t* dy,
                                              uint16_t* d_gate, float* d_gain, uint8_t* memory) {
  const Problem& p = *problem;
  if (p.activation == 0) return make_all<Silu>(p, inverse_rms, dy, d_gate, d_gain, memory);
  return make_all<SquaredRelu>(p, inverse_rms, dy, d_gate, d_gain, memory);
}
