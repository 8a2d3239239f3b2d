"""Rows of activations to int8 codes and their scale, in one pass of Triton.

The arithmetic is that of ``quant.activation.int8_codes``, operation by operation in fp32: true
divisions, ties to even, no fused multiply-add (the launch turns those off), so that the codes are
the same bits. A NaN must show in the scale, as it does in torch, and a maximum of floats would lose
it: the peak is taken over the bit patterns of ``|x|``, whose order as integers is that of the
numbers, with NaN above infinity.
"""

from __future__ import annotations

import triton
import triton.language as tl

# Adding and taking away 1.5 * 2^23 rounds a small fp32 to an integer, ties to even.
_ROUNDER = tl.constexpr(12582912.0)


@triton.jit  # type: ignore[untyped-decorator]
def store_codes(
    x: tl.tensor,
    codes: tl.tensor,
    scales: tl.tensor,
    row: tl.tensor,
    columns: tl.tensor,
    width: tl.tensor,
    smallest: tl.tensor,
) -> None:
    """Codes and scale of a row in fp32, zeros past its width; its peak is ``smallest`` at least."""
    pattern = x.to(tl.int32, bitcast=True) & 0x7FFFFFFF
    peak = tl.max(pattern, axis=0).to(tl.float32, bitcast=True)
    peak = tl.where(peak < smallest, smallest, peak)
    value = x * tl.div_rn(127.0, peak)
    value = (value + _ROUNDER) - _ROUNDER
    value = tl.minimum(tl.maximum(value, -128.0), 127.0)
    tl.store(codes + row * width + columns, value.to(tl.int8), mask=columns < width)
    tl.store(scales + row, tl.div_rn(peak, 127.0))


@triton.jit  # type: ignore[untyped-decorator]
def quantise_row(
    x: tl.tensor,
    codes: tl.tensor,
    scales: tl.tensor,
    width: tl.tensor,
    smallest: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """One row a program."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    value = tl.load(x + row * width + columns, mask=columns < width, other=0.0)
    store_codes(value.to(tl.float32), codes, scales, row, columns, width, smallest)


@triton.jit  # type: ignore[untyped-decorator]
def norm_and_quantise_row(
    x: tl.tensor,
    gain: tl.tensor,
    codes: tl.tensor,
    scales: tl.tensor,
    width: tl.tensor,
    smallest: tl.tensor,
    eps: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """The same with ``x / sqrt(mean(x^2) + eps) * gain`` before, rounded to x's dtype."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    value = tl.load(x + row * width + columns, mask=inside, other=0.0).to(tl.float32)
    mean_square = tl.sum(value * value, axis=0) / width
    value = value * tl.rsqrt(mean_square + eps)
    value = value * tl.load(gain + columns, mask=inside, other=0.0).to(tl.float32)
    value = value.to(x.dtype.element_ty).to(tl.float32)
    store_codes(value, codes, scales, row, columns, width, smallest)
