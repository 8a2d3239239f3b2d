"""The ways to quantise a weight, by name: one table for layers, engines and monitors."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bitnet.quant.binary import binary_codes
from bitnet.quant.straight_through import binary_straight_through, ternary_straight_through
from bitnet.quant.ternary import ternary_codes

Quantizer = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Latent weight to int8 codes in {-1, 0, 1} and their fp32 scalar scale."""

WEIGHT_CODES: dict[str, Quantizer] = {"bitnet": ternary_codes, "binary": binary_codes}
"""Kind of layer to its quantiser."""

STRAIGHT_THROUGH: dict[str, Callable[[Tensor], Tensor]] = {
    "bitnet": ternary_straight_through,
    "binary": binary_straight_through,
}
"""Kind of layer to the fake quantiser whose gradient is the identity."""
