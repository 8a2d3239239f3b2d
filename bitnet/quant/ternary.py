"""The weight quantiser of b1.58: every matrix becomes {-1, 0, +1} times one number.

Formula (The Era of 1-bit LLMs: training tips, figure 3): ``s = 1 / mean|W|``, codes
``round(W * s)`` clamped to [-1, 1], and ``W ~ codes / s``. One scale per tensor, ties to even.
All arithmetic is fp32, whatever the dtype of the weight.

The quantiser is not idempotent: quantising ``codes * scale`` again multiplies the scale by the
share of non-zero codes. Always quantise the latent (master) weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_SCALE = 1e-5


def absmean(weight: Tensor) -> Tensor:
    """Scale of a weight tensor: ``mean|W|``, at least 1e-5.

    Args:
        weight: latent weight of any shape and floating dtype.

    Returns:
        fp32 scalar.
    """
    return weight.float().abs().mean().clamp(min=SMALLEST_SCALE)


def ternary_codes(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scale of a weight tensor, with ``weight ~ codes * scale``.

    Args:
        weight: latent weight of any shape and floating dtype.

    Returns:
        int8 codes in {-1, 0, 1} of the weight's shape, and the fp32 scalar scale.
    """
    scale = absmean(weight)
    codes = (weight.float() * scale.reciprocal()).round().clamp(-1, 1)
    return codes.to(torch.int8), scale


def ternary_quantize(weight: Tensor) -> Tensor:
    """The nearest ternary tensor, ``codes * scale``, in the weight's own dtype."""
    codes, scale = ternary_codes(weight)
    return (codes.float() * scale).to(weight.dtype)
