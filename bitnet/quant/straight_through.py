"""Fake quantisation: quantised going forward, the identity going backward.

Rounding has no useful derivative, so training lets the gradient pass as if nothing had happened
(the straight-through estimator, ``x + (q(x) - x).detach()`` in the paper). A product of two such
tensors then has gradients built from the *quantised* operands: that is what the fast engines
reproduce.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function

from bitnet.quant.activation import int8_quantize
from bitnet.quant.binary import binary_quantize
from bitnet.quant.ternary import ternary_quantize


class _StraightThrough(Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, quantised: Tensor) -> Tensor:
        return quantised.view_as(quantised)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def _straight_through(value: Tensor, quantised: Tensor) -> Tensor:
    """The value is exactly the quantised one; the sum form in the paper adds a rounding error."""
    passed: Tensor = _StraightThrough.apply(value, quantised)  # type: ignore[no-untyped-call]
    return passed


def ternary_straight_through(weight: Tensor) -> Tensor:
    """``ternary_quantize(weight)`` whose gradient is the identity (no clipping mask)."""
    return _straight_through(weight, ternary_quantize(weight.detach()))


def binary_straight_through(weight: Tensor) -> Tensor:
    """``binary_quantize(weight)`` whose gradient is the identity."""
    return _straight_through(weight, binary_quantize(weight.detach()))


def int8_straight_through(x: Tensor) -> Tensor:
    """``int8_quantize(x)`` whose gradient is the identity."""
    return _straight_through(x, int8_quantize(x.detach()))
