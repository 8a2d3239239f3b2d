"""The fast engine: an exact int8 product forward, products of the quantised operands backward.

Forward: ``y = (x_codes @ w_codes.T) * x_scale * w_scale``. The integer sum is exact, so the result
differs from real arithmetic only by the rounding of the scales and of y itself. Backward, with g
the gradient of y and both sets of codes exact in bf16:

    dX = (g @ w_codes) * w_scale        dW = g.T @ (x_codes * x_scale)

which is what the straight-through estimator gives. Both accumulate in fp32 and round to the compute
dtype once. What is kept for backward is the int8 input, half of what a bf16 linear keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from bitnet.quant.activation import int8_codes

# cuBLASLt asks for more than 16 rows in an int8 product; CPU has no such limit.
_CUDA_ROWS = 32


def int8_engine(
    x: Tensor, weights: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Exact integer products of one quantised input; see :class:`Engine`."""
    x_rows = x.reshape(-1, x.shape[-1])
    outputs = _Int8Products.apply(x_rows, *weights, *codes, *scales)  # type: ignore[no-untyped-call]
    return tuple(y.view(*x.shape[:-1], y.shape[-1]) for y in outputs)


def integer_product(x_codes: Tensor, w_codes: Tensor) -> Tensor:
    """``x_codes @ w_codes.T`` in int32.

    Args:
        x_codes: int8 ``[rows, in]``.
        w_codes: int8 ``[out, in]``.
    """
    rows = x_codes.shape[0]
    if x_codes.is_cuda and rows < _CUDA_ROWS:
        x_codes = torch.nn.functional.pad(x_codes, (0, 0, 0, _CUDA_ROWS - rows))
    return torch._int_mm(x_codes, w_codes.t())[:rows]


class _Int8Products(Function):
    """Arguments: x ``[rows, in]``, then n weights, n codes and n scales."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *operands: Tensor) -> tuple[Tensor, ...]:
        count = len(operands) // 3
        codes, scales = operands[count : 2 * count], operands[2 * count :]
        x_codes, x_scale = int8_codes(x)
        ctx.save_for_backward(x_codes, x_scale, *codes, *scales)
        ctx.weight_dtypes = tuple(weight.dtype for weight in operands[:count])
        return tuple(
            (integer_product(x_codes, c).float() * (x_scale * s)).to(x.dtype)
            for c, s in zip(codes, scales, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        count = len(grads)
        x_codes, x_scale = ctx.saved_tensors[:2]
        codes, scales = ctx.saved_tensors[2 : 2 + count], ctx.saved_tensors[2 + count :]
        needs = ctx.needs_input_grad
        dx = _input_gradient(grads, codes, scales) if needs[0] else None
        x = (x_codes.float() * x_scale).to(grads[0].dtype)
        dws = [
            (g.t() @ x).to(dtype) if need else None
            for g, dtype, need in zip(grads, ctx.weight_dtypes, needs[1:], strict=False)
        ]
        return (dx, *dws, *(None for _ in range(2 * count)))


def _input_gradient(
    grads: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> Tensor:
    """Sum over the weights of ``(g @ codes) * scale``, in the dtype of the gradients."""
    dtype = grads[0].dtype
    parts = [(g @ c.to(dtype)).float() * s for g, c, s in zip(grads, codes, scales, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total.to(dtype)
