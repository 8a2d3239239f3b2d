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


class _Ternary(Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return ternary_quantize(weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


class _Binary(Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return binary_quantize(weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


class _Int8(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return int8_quantize(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


def ternary_straight_through(weight: Tensor) -> Tensor:
    """``ternary_quantize(weight)`` whose gradient is the identity (no clipping mask).

    The value is exactly the quantised one; the sum form in the paper adds a rounding error.
    """
    quantised: Tensor = _Ternary.apply(weight)  # type: ignore[no-untyped-call]
    return quantised


def binary_straight_through(weight: Tensor) -> Tensor:
    """``binary_quantize(weight)`` whose gradient is the identity."""
    quantised: Tensor = _Binary.apply(weight)  # type: ignore[no-untyped-call]
    return quantised


def int8_straight_through(x: Tensor) -> Tensor:
    """``int8_quantize(x)`` whose gradient is the identity."""
    quantised: Tensor = _Int8.apply(x)  # type: ignore[no-untyped-call]
    return quantised
