"""The weight quantiser of BitNet b1: every matrix becomes its centred signs times one number.

Formula (arXiv 2310.11453, equations 1 to 3, in the form of "The Era of 1-bit LLMs: Training Tips,
Code and FAQ"): codes ``sign(W - mean W)``, scale ``mean|W|``. The arithmetic is fp32. A weight that
equals the mean exactly has code 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bitnet.quant.ternary import absmean


def binary_codes(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scale of a weight tensor, with ``weight ~ codes * scale``.

    Args:
        weight: latent weight of any shape and floating dtype.

    Returns:
        int8 codes in {-1, 1} (0 for a weight equal to the mean) of the weight's shape, and the
        fp32 scalar scale.
    """
    wide = weight.float()
    return (wide - wide.mean()).sign().to(torch.int8), absmean(weight)


def binary_quantize(weight: Tensor) -> Tensor:
    """The binary tensor that stands for ``weight``, ``codes * scale``, in the weight's dtype."""
    codes, scale = binary_codes(weight)
    return (codes.float() * scale).to(weight.dtype)
