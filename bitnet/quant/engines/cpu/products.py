"""The CPU's products of int8 codes with ternary codes: our kernel, or public operations.

Both give the same bits: the sums are exact, and they are scaled and rounded in the same order.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from bitnet.quant.engines.cpu.build import load, why_not

_KERNEL_DTYPES = (torch.bfloat16, torch.float32)


def summed_products(
    rows: Sequence[Tensor],
    row_scales: Sequence[Tensor],
    codes: Sequence[Tensor],
    scales: Sequence[Tensor],
    dtype: torch.dtype,
    through: bool,
) -> Tensor:
    """Sum over the parts of ``rows @ codes.T`` (or ``rows @ codes``), scaled by row and weight.

    Args:
        rows: int8 ``[M, in_i]``, or ``[M, out_i]`` with `through`.
        row_scales: fp32 ``[M, 1]`` of each.
        codes: ternary int8 ``[out_i, in_i]``.
        scales: fp32 scalars.
        dtype: of the result; rounded once.
        through: whether the sums run over the weights' first side.

    Returns:
        ``[M, out]``, or ``[M, in]`` with `through`.
    """
    serve = _by_kernel if dtype in _KERNEL_DTYPES and why_not() is None else _by_public
    return serve(rows, row_scales, codes, scales, dtype, through)


def _by_public(
    rows: Sequence[Tensor],
    row_scales: Sequence[Tensor],
    codes: Sequence[Tensor],
    scales: Sequence[Tensor],
    dtype: torch.dtype,
    through: bool,
) -> Tensor:
    total: Tensor | None = None
    for x, x_scale, c, scale in zip(rows, row_scales, codes, scales, strict=True):
        sums = torch._int_mm(x, c if through else c.t()).float()
        part = sums.mul_(x_scale * scale)
        total = part if total is None else total.add_(part)
    assert total is not None
    return total.to(dtype)


def _by_kernel(
    rows: Sequence[Tensor],
    row_scales: Sequence[Tensor],
    codes: Sequence[Tensor],
    scales: Sequence[Tensor],
    dtype: torch.dtype,
    through: bool,
) -> Tensor:
    rows, row_scales, codes = ([t.contiguous() for t in each] for each in (rows, row_scales, codes))
    height, out = rows[0].shape[0], codes[0].shape[1 if through else 0]
    result = torch.empty(height, out, dtype=dtype)
    load().bitnet_products(
        ctypes.c_int(len(rows)),
        _addresses(rows),
        _addresses(row_scales),
        _addresses(codes),
        _addresses(scales),
        (ctypes.c_int64 * len(rows))(*(x.shape[1] for x in rows)),
        ctypes.c_int64(height),
        ctypes.c_int64(out),
        ctypes.c_int(through),
        ctypes.c_int(dtype == torch.float32),
        ctypes.c_void_p(result.data_ptr()),
    )
    return result


def _addresses(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
