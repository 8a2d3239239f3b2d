"""The products of int8 codes with ternary codes as operations of torch, one for every device.

Scaling and rounding belong to the product, so that no int32 sums are stored. The operations say
what they return without computing it, so a compiled step holds them as they are; the rounding of
their input to codes stays ordinary torch, which the compiler merges with the norm before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.library import custom_op

from bitnet.quant.engines.cpu import products as on_cpu


@custom_op("bitnet::scaled_products", mutates_args=(), device_types="cpu")
def scaled_products(
    x_codes: Tensor,
    x_scale: Tensor,
    w_codes: Sequence[Tensor],
    w_scales: Sequence[Tensor],
    dtype: torch.dtype,
) -> list[Tensor]:
    """``(x_codes @ w_codes.T).float() * (x_scale * w_scale)``, rounded once, for every weight.

    One operation for all weights that read an input: a compiler that reads a fused result in
    several places may compute it anew for each of them.

    Args:
        x_codes: int8 ``[M, K]``.
        x_scale: fp32 ``[M, 1]``.
        w_codes: ternary int8 ``[N_i, K]``; on a CPU also their :func:`packed_rows`.
        w_scales: fp32 scalars.
        dtype: of the results ``[M, N_i]``.
    """
    return [
        on_cpu.product(x_codes, x_scale, codes, scale, dtype)
        for codes, scale in zip(w_codes, w_scales, strict=True)
    ]


@scaled_products.register_fake
def _(
    x_codes: Tensor,
    x_scale: Tensor,
    w_codes: Sequence[Tensor],
    w_scales: Sequence[Tensor],
    dtype: torch.dtype,
) -> list[Tensor]:
    return [x_codes.new_empty((len(x_codes), len(codes)), dtype=dtype) for codes in w_codes]


@custom_op("bitnet::input_gradient", mutates_args=(), device_types="cpu")
def input_gradient(
    grads: Sequence[Tensor],
    w_codes: Sequence[Tensor],
    w_scales: Sequence[Tensor],
    width: int,
    rounded: bool,
) -> tuple[Tensor, Tensor]:
    """Sum over the weights of ``(g @ w_codes) * w_scale``, in the dtype of g; on CPU alone.

    Elsewhere the rounding of g is left to the compiler; see :func:`scaled_product_through`. The
    second result is a zero: what adds it comes after this product.

    Args:
        grads: gradients of the outputs, ``[M, N_i]``.
        w_codes: ternary int8 ``[N_i, K]``, or their :func:`packed_rows`.
        w_scales: fp32 scalars.
        width: K, which packed rows do not tell.
        rounded: round every row of a gradient to int8 first, as ``gradient_codes`` does.
    """
    return on_cpu.input_gradient(grads, w_codes, w_scales, width, rounded), _zero(grads[0])


@input_gradient.register_fake
def _(
    grads: Sequence[Tensor],
    w_codes: Sequence[Tensor],
    w_scales: Sequence[Tensor],
    width: int,
    rounded: bool,
) -> tuple[Tensor, Tensor]:
    return grads[0].new_empty((grads[0].shape[0], width)), _zero(grads[0])


def _zero(like: Tensor) -> Tensor:
    return like.new_zeros(1, dtype=torch.int8)


@custom_op("bitnet::weight_gradient", mutates_args=(), device_types="cpu")
def weight_gradient(g: Tensor, x_codes: Tensor, x_scale: Tensor, dtype: torch.dtype) -> Tensor:
    """``g.T @ (x_codes * x_scale)``, operands in g's dtype; on CPU alone.

    Elsewhere the codes are made bf16 by the compiler and the product is the library's.

    Args:
        g: gradient ``[M, out]`` of the outputs.
        x_codes: int8 ``[M, in]``.
        x_scale: fp32 ``[M, 1]``.
        dtype: of the result ``[out, in]``.
    """
    return on_cpu.weight_gradient(g, x_codes, x_scale, dtype)


@weight_gradient.register_fake
def _(g: Tensor, x_codes: Tensor, x_scale: Tensor, dtype: torch.dtype) -> Tensor:
    return g.new_empty((g.shape[1], x_codes.shape[1]), dtype=dtype)


@custom_op("bitnet::scaled_product_through", mutates_args=(), device_types="cuda")
def scaled_product_through(
    g_codes: Sequence[Tensor],
    g_scales: Sequence[Tensor],
    w_codes: Sequence[Tensor],
    w_scales: Sequence[Tensor],
    dtype: torch.dtype,
) -> Tensor:
    """Sum over the weights of ``(g_codes @ w_codes).float() * (g_scale * w_scale)``; on CUDA alone.

    Args:
        g_codes: int8 ``[M, N_i]``.
        g_scales: fp32 ``[M, 1]`` each.
        w_codes: ternary int8 ``[N_i, K]``.
        w_scales: fp32 scalars.
        dtype: of the result ``[M, K]``; the sum is fp32 and rounded once.
    """
    from bitnet.quant.engines.cuda import product_through

    return product_through(g_codes, g_scales, w_codes, w_scales, dtype)


@scaled_product_through.register_fake
def _(
    g_codes: Sequence[Tensor],
    g_scales: Sequence[Tensor],
    w_codes: Sequence[Tensor],
    w_scales: Sequence[Tensor],
    dtype: torch.dtype,
) -> Tensor:
    return g_codes[0].new_empty((g_codes[0].shape[0], w_codes[0].shape[1]), dtype=dtype)
