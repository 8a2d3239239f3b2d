"""The fast engines: an exact int8 product forward, and how precise the gradients are is a choice.

Forward: ``y = (x_codes @ w_codes.T) * x_scale * w_scale``. The integer sum is exact, so the result
differs from real arithmetic only by the rounding of the scales and of y itself. Backward, with g
the gradient of y:

    dX = (g @ w_codes) * w_scale        dW = g.T @ (x_codes * x_scale)

which is what the straight-through estimator gives. Both sets of codes are exact in bf16. dW is
always computed so; dX also with g rounded to 8 bits a row, whose scale can be taken out of the sum,
while the ternary operand stays exact (arXiv 2304.13013 found the weights' gradient to be the one
that needs the precision). What is kept for backward is the int8 input, half of what bf16 keeps; or
nothing at all where a compiler can make it anew from what it keeps for a norm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from bitnet.quant.activation import (
    SMALLEST_GRADIENT,
    SMALLEST_PEAK,
    gradient_codes,
    int8_codes,
)
from bitnet.quant.engines.cuda import codes_of
from bitnet.quant.engines.cuda.gradient import e4m3_input_gradient
from bitnet.quant.engines.product import (
    input_gradient,
    scaled_product_through,
    scaled_products,
    weight_gradient,
)

InputGradient = Callable[[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], Tensor]
"""Gradients ``[M, N_i]`` of the outputs, codes and scales to the gradient of the input."""


class _Way(NamedTuple):
    """How the input's gradient is made."""

    elsewhere: InputGradient
    rounded_on_cpu: bool | None
    """Argument of the operation that a CPU has for it; ``None``: a CPU does as others do."""


def int8_engine(
    x: Tensor, weights: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Exact integer products of one quantised input; see :class:`Engine`."""
    return _products(x, weights, codes, scales, _Way(exact_input_gradient, False))


def int8_grad8_engine(
    x: Tensor, weights: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The same forward; the input's gradient is made of int8 codes of the outputs' gradients."""
    return _products(x, weights, codes, scales, _Way(int8_input_gradient, True))


def int8_grad_e4m3_engine(
    x: Tensor, weights: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The same forward; the outputs' gradients are rounded to e4m3, on GPUs that multiply it."""
    return _products(x, weights, codes, scales, _Way(e4m3_input_gradient, None))


def exact_input_gradient(
    grads: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> Tensor:
    """Sum over the weights of ``(g @ codes) * scale``, in the dtype of the gradients."""
    dtype = grads[0].dtype
    parts = [(g @ c.to(dtype)).float() * s for g, c, s in zip(grads, codes, scales, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total.to(dtype)


def int8_input_gradient(
    grads: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> Tensor:
    """The same sum with every row of a gradient rounded to 255 steps of its own size."""
    rounded = [codes_of(g, SMALLEST_GRADIENT) or gradient_codes(g) for g in grads]
    g_codes, g_scales = [pair[0] for pair in rounded], [pair[1] for pair in rounded]
    dx: Tensor = scaled_product_through(
        g_codes, g_scales, list(codes), list(scales), grads[0].dtype
    )
    return dx


def _products(
    x: Tensor,
    weights: Sequence[Tensor],
    codes: Sequence[Tensor],
    scales: Sequence[Tensor],
    way: _Way,
) -> tuple[Tensor, ...]:
    if not x.numel():
        raise ValueError(f"an input of shape {list(x.shape)} holds no tokens")
    x_rows = x.reshape(-1, x.shape[-1])
    on_cpu = x.device.type == "cpu"
    outputs = _Products.apply(way, on_cpu, x_rows, *weights, *codes, *scales)  # type: ignore[no-untyped-call]
    return tuple(y.view(*x.shape[:-1], y.shape[-1]) for y in outputs)


class _Products(Function):
    """Arguments: the way, whether this is a CPU, x ``[rows, in]``, n weights, codes, scales."""

    @staticmethod
    def forward(
        ctx: Any, way: _Way, on_cpu: bool, x: Tensor, *operands: Tensor
    ) -> tuple[Tensor, ...]:
        count = len(operands) // 3
        codes, scales = operands[count : 2 * count], operands[2 * count :]
        x_codes, x_scale = codes_of(x, SMALLEST_PEAK) or int8_codes(x)
        ctx.save_for_backward(x_codes, x_scale, *codes, *scales)
        ctx.way, ctx.on_cpu = way, on_cpu
        ctx.weight_dtypes = tuple(weight.dtype for weight in operands[:count])
        return tuple(scaled_products(x_codes, x_scale, list(codes), list(scales), x.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        count = len(grads)
        x_codes, x_scale, *operands = ctx.saved_tensors  # recomputation gives them once
        codes, scales = operands[:count], operands[count:]
        needs = ctx.needs_input_grad[2:]
        rounded = ctx.way.rounded_on_cpu
        dx = None
        if needs[0] and ctx.on_cpu and rounded is not None:
            dx, zero = input_gradient(list(grads), codes, scales, x_codes.shape[1], rounded)
            x_codes = _only_now(x_codes, zero)
        elif needs[0]:
            dx = ctx.way.elsewhere(grads, codes, scales)
        of_weight = weight_gradient if ctx.on_cpu else _weight_gradient
        dws = [
            of_weight(g, x_codes, x_scale, dtype) if need else None
            for g, dtype, need in zip(grads, ctx.weight_dtypes, needs[1:], strict=False)
        ]
        return (None, None, dx, *dws, *(None for _ in range(2 * count)))


def _only_now(x_codes: Tensor, zero: Tensor) -> Tensor:
    """The codes, which a compiler is free to make in backward, and not before the zero.

    It keeps what an operation that it cannot look into reads, though most codes follow from the
    norm's input, which it keeps as well. A sum it can look into, and does where it makes the codes.
    And a weight's gradient, in fp32, would fill memory if made while a layer's backward holds most.
    """
    return x_codes + zero if torch.compiler.is_compiling() else x_codes


def _weight_gradient(g: Tensor, x_codes: Tensor, x_scale: Tensor, dtype: torch.dtype) -> Tensor:
    return (g.t() @ (x_codes.float() * x_scale).to(g.dtype)).to(dtype)
