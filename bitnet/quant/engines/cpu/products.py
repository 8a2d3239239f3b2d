"""The CPU's products of codes: our kernels, or public operations.

Products of int8 codes with ternary ones have the same bits either way: the sums are exact, and they
are scaled and rounded in the same order. Weight gradients are sums of bf16 products in fp32, and
differ in the order of summation; the kernel does not round them to bf16 at the end.
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


def weight_gradient(g: Tensor, x_codes: Tensor, x_scale: Tensor, dtype: torch.dtype) -> Tensor:
    """``g.T @ (x_codes * x_scale)``, operands in the dtype of g.

    Args:
        g: gradient ``[M, out]`` of the outputs.
        x_codes: int8 ``[M, in]``.
        x_scale: fp32 ``[M, 1]``.
        dtype: of the result ``[out, in]``.
    """
    fits = g.dtype == torch.bfloat16 and dtype == torch.float32
    if not (fits and why_not() is None and load().bitnet_has_bf16()):
        return (g.t() @ (x_codes.float() * x_scale).to(g.dtype)).to(dtype)
    g, x_codes, x_scale = g.contiguous(), x_codes.contiguous(), x_scale.contiguous()
    result = torch.empty(g.shape[1], x_codes.shape[1])
    load().bitnet_weight_gradient(
        ctypes.c_void_p(g.data_ptr()),
        ctypes.c_void_p(x_codes.data_ptr()),
        ctypes.c_void_p(x_scale.data_ptr()),
        *(ctypes.c_int64(size) for size in (len(g), *result.shape)),
        ctypes.c_void_p(result.data_ptr()),
    )
    return result


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
