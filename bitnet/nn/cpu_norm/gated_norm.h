// What both directions share: where rows lie, how sixteen numbers are read and written, activations.

#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "bf16_tiles.h"
#include "exponential.h"
#include "gains.h"
#include "numbers.h"
#include "scratch.h"

namespace gated_norm {

using bf16::first_of_16;
using gains::in_sixteens;

// bf16, columns side by side; the step in numbers.
struct Rows {
  const uint16_t* data;
  int64_t step;

  const uint16_t* at(int64_t row) const { return data + row * step; }
};

struct Problem {
  int64_t rows, width;
  Rows gate, up;
  const float* gain;   // [width]
  int64_t activation;  // 0: silu, 1: squared ReLU
};

// Each thread's memory for one row in fp32.
inline auto own_rows(Scratch& scratch, int64_t width) {
  return PerThread(scratch, [=](Scratch& own) { return own.take<float>(in_sixteens(width)); });
}

// Asks for sixteen numbers that the next row wants; past the end of all rows it does nothing.
inline void expect(const uint16_t* soon) {
  _mm_prefetch(reinterpret_cast<const char*>(soon), _MM_HINT_T1);
}

// An activation is made of its core, which backward keeps from its first look at a row to its second.
struct Silu {
  // The sigmoid. The bound keeps exp finite; NaN stays NaN (a minimum is its second operand where
  // one is none).
  static __m512 core(__m512 x) {
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 negative = _mm512_sub_ps(_mm512_setzero_ps(), x);
    const __m512 power = exponential(_mm512_min_ps(_mm512_set1_ps(87.0f), negative));
    return _mm512_div_ps(one, _mm512_add_ps(one, power));
  }
  static __m512 value(__m512 x, __m512 core) { return _mm512_mul_ps(x, core); }
  static __m512 slope(__m512 value, __m512 core) {
    return _mm512_fmadd_ps(value, _mm512_sub_ps(_mm512_set1_ps(1.0f), core), core);
  }
};

struct SquaredRelu {
  static __m512 core(__m512 x) { return _mm512_max_ps(_mm512_setzero_ps(), x); }
  static __m512 value(__m512, __m512 core) { return _mm512_mul_ps(core, core); }
  static __m512 slope(__m512, __m512 core) { return _mm512_add_ps(core, core); }
};

}  // namespace gated_norm
