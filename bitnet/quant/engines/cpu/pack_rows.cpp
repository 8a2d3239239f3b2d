// Codes of one byte each into rows of 2 bits a code; see codes.h.

#include "codes.h"

extern "C" void bitnet_pack_rows(const int8_t* codes, uint8_t* packed, int64_t rows,
                                 int64_t width) {
  const __m512i one = _mm512_set1_epi8(1);
#pragma omp parallel for
  for (int64_t row = 0; row < rows; ++row) {
    const int8_t* from = codes + row * width;
    uint8_t* to = packed + row * packed_width(width);
    for (int64_t k = 0; k < width; k += 64) {
      const __mmask64 there = first_of_64(width - k);
      const __m512i plain = _mm512_maskz_loadu_epi8(there, from + k);
      const __m512i raised = _mm512_maskz_add_epi8(there, plain, one);
      const __m512i both = _mm512_or_si512(raised, _mm512_srli_epi32(raised, 6));
      const __m512i all = _mm512_or_si512(both, _mm512_srli_epi32(both, 12));
      _mm_mask_storeu_epi8(to + k / 4, bytes_of(width - k, 64), _mm512_cvtepi32_epi8(all));
    }
  }
}
