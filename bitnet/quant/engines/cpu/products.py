"""The CPU's products of codes: our kernels, or public operations.

Weights' codes come as layers hold them, packed in rows of 2 bits a code, or as int8, if a graph has
just made them. Kernels unpack them in registers; public operations want them whole in memory.

Products of int8 codes with ternary ones have the same bits either way: the sums are exact, and they
are scaled and rounded in the same order. Gradients that are not rounded to 8 bits are sums of bf16
products in fp32 and differ in the order of summation; the kernels round them once, at the end (that
of a weight, which is fp32, not at all), where a library rounds every part to bf16.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from bitnet.native import run_with_scratch
from bitnet.quant.activation import gradient_codes
from bitnet.quant.engines.cpu.kernels import load, multiplies_bf16, why_not
from bitnet.quant.engines.packed_rows import packed_rows, unpack_rows

_KERNEL_DTYPES = (torch.bfloat16, torch.float32)


def product(
    x_codes: Tensor, x_scale: Tensor, w_codes: Tensor, w_scale: Tensor, dtype: torch.dtype
) -> Tensor:
    """``(x_codes @ w_codes.T) * x_scale * w_scale``; see ``engines/product.py``."""
    if dtype not in _KERNEL_DTYPES or why_not() is not None:
        sums = torch._int_mm(x_codes, _plain(w_codes, x_codes.shape[1]).t()).float()
        return sums.mul_(x_scale * w_scale).to(dtype)
    x_codes, x_scale, w_codes = x_codes.contiguous(), x_scale.contiguous(), _packed(w_codes)
    y = torch.empty(x_codes.shape[0], w_codes.shape[0], dtype=dtype)
    run_with_scratch(
        load().bitnet_product,
        *map(_address, (x_codes, x_scale, w_codes, w_scale)),
        *map(ctypes.c_int64, (*y.shape, x_codes.shape[1])),
        ctypes.c_int(dtype == torch.float32),
        _address(y),
    )
    return y


def input_gradient(
    grads: Sequence[Tensor],
    w_codes: Sequence[Tensor],
    w_scales: Sequence[Tensor],
    width: int,
    rounded: bool,
) -> Tensor:
    """Sum over the weights of ``(g @ w_codes) * w_scale``; see ``engines/product.py``."""
    dtype = grads[0].dtype
    if why_not() is not None or not (_rounds(dtype) if rounded else _multiplies(dtype)):
        plain = [_plain(codes, width) for codes in w_codes]
        return _input_gradient_by_public(grads, plain, w_scales, rounded)
    grads, w_codes = [g.contiguous() for g in grads], [_packed(codes) for codes in w_codes]
    dx = torch.empty(grads[0].shape[0], width, dtype=dtype)
    operands = (
        ctypes.c_int(len(grads)),
        *map(_addresses, (grads, w_codes, w_scales)),
        (ctypes.c_int64 * len(grads))(*(g.shape[1] for g in grads)),
        *map(ctypes.c_int64, dx.shape),
    )
    if rounded:
        wide = ctypes.c_int(dtype == torch.float32)
        kernel = load().bitnet_rounded_input_gradient
        run_with_scratch(kernel, *operands, wide, _address(dx))
    else:
        run_with_scratch(load().bitnet_input_gradient, *operands, _address(dx))
    return dx


def weight_gradient(g: Tensor, x_codes: Tensor, x_scale: Tensor, dtype: torch.dtype) -> Tensor:
    """``g.T @ (x_codes * x_scale)``, operands in the dtype of g; see ``engines/product.py``."""
    if dtype != torch.float32 or why_not() is not None or not _multiplies(g.dtype):
        return (g.t() @ (x_codes.float() * x_scale).to(g.dtype)).to(dtype)
    g, x_codes, x_scale = g.contiguous(), x_codes.contiguous(), x_scale.contiguous()
    dw = torch.empty(g.shape[1], x_codes.shape[1])
    run_with_scratch(
        load().bitnet_weight_gradient,
        *map(_address, (g, x_codes, x_scale)),
        *map(ctypes.c_int64, (len(g), *dw.shape)),
        _address(dw),
    )
    return dw


def _packed(codes: Tensor) -> Tensor:
    packed: Tensor = codes if codes.dtype == torch.uint8 else packed_rows(codes)
    return packed


def _plain(codes: Tensor, width: int) -> Tensor:
    """int8 ``[N, width]``."""
    if codes.dtype == torch.int8:
        return codes
    plain = codes.new_empty((codes.shape[0], width), dtype=torch.int8)
    unpack_rows(codes, plain)
    return plain


def _rounds(dtype: torch.dtype) -> bool:
    return dtype in _KERNEL_DTYPES


def _multiplies(dtype: torch.dtype) -> bool:
    """Whether there is a kernel for products with numbers of this dtype."""
    return dtype == torch.bfloat16 and multiplies_bf16()


def _input_gradient_by_public(
    grads: Sequence[Tensor], w_codes: Sequence[Tensor], w_scales: Sequence[Tensor], rounded: bool
) -> Tensor:
    total: Tensor | None = None
    for g, codes, scale in zip(grads, w_codes, w_scales, strict=True):
        if rounded:
            g_codes, g_scale = gradient_codes(g)
            part = torch._int_mm(g_codes, codes).float().mul_(g_scale * scale)
        else:
            part = (g @ codes.to(g.dtype)).float() * scale
        total = part if total is None else total.add_(part)
    assert total is not None
    return total.to(grads[0].dtype)


def _address(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _addresses(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
