// y = h / sqrt(mean(h^2) + eps) * gain with h = act(gate) * up, a row at a time.
//
// A row's h stays in the cache in fp32 between the two looks at it, and the result is rounded once.

#include <cmath>
#include <limits>

#include "gated_norm.h"

namespace {

using namespace gated_norm;

constexpr int kRowsAtOnce = 16;  // of a thread

// Of a row's sum of squares. Where it is infinite the row is lost, and must not pass for zeros.
float inverse_rms_of(float squares, int64_t width, float eps) {
  if (!std::isfinite(squares)) return std::numeric_limits<float>::quiet_NaN();
  return 1.0f / std::sqrt(squares / static_cast<float>(width) + eps);
}

template <typename Activation>
float make_row(const uint16_t* gate, const uint16_t* up, int64_t width, float* h) {
  __m512 squares = _mm512_setzero_ps();
  for (int64_t at = 0; at < width; at += 16) {
    const __mmask16 there = first_of_16(width - at);
    const __m512 x = load_16(gate + at, there);
    const __m512 made =
        _mm512_mul_ps(Activation::value(x, Activation::core(x)), load_16(up + at, there));
    _mm512_store_ps(h + at, made);
    squares = _mm512_fmadd_ps(made, made, squares);
  }
  return _mm512_reduce_add_ps(squares);
}

void scale_row(const float* h, const float* gain, float inverse_rms, int64_t width, uint16_t* y) {
  const __m512 inverse = _mm512_set1_ps(inverse_rms);
  for (int64_t at = 0; at < width; at += 16) {
    const __mmask16 there = first_of_16(width - at);
    const __m512 normed = _mm512_mul_ps(_mm512_load_ps(h + at), inverse);
    write(y + at, there, _mm512_mul_ps(normed, _mm512_maskz_loadu_ps(there, gain + at)));
  }
}

template <typename Activation>
int64_t make_all(const Problem& p, float eps, uint16_t* y, float* inverse_rms, uint8_t* memory) {
  Scratch scratch(memory);
  const auto own_h = own_rows(scratch, p.width);
  if (scratch.counts_only()) return scratch.bytes();
#pragma omp parallel
  {
    float* const h = own_h.own();
#pragma omp for schedule(dynamic, kRowsAtOnce)
    for (int64_t row = 0; row < p.rows; ++row) {
      const float squares = make_row<Activation>(p.gate.at(row), p.up.at(row), p.width, h);
      inverse_rms[row] = inverse_rms_of(squares, p.width, eps);
      scale_row(h, p.gain, inverse_rms[row], p.width, y + row * p.width);
    }
  }
  return scratch.bytes();
}

}  // namespace

// y [rows, width] in bf16 and inverse_rms [rows].
extern "C" int64_t bitnet_gated_norm(const gated_norm::Problem* problem, float eps, uint16_t* y,
                                     float* inverse_rms, uint8_t* memory) {
  if (problem->activation == 0) return make_all<Silu>(*problem, eps, y, inverse_rms, memory);
  return make_all<SquaredRelu>(*problem, eps, y, inverse_rms, memory);
}

extern "C" int bitnet_norms_here() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
