"""The activation quantiser of b1.58: every token becomes int8 times its own number.

Formula (The Era of 1-bit LLMs: training tips, figure 3): ``s = 127 / max|x|`` over the last
dimension, codes ``round(x * s)`` clamped to [-128, 127], ties to even. The arithmetic is fp32.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_PEAK = 1e-5
LARGEST_CODE = 127


def int8_codes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scales of activations, with ``x ~ codes * scale``.

    Args:
        x: activations ``[..., features]`` of any floating dtype.

    Returns:
        int8 codes of the same shape, and fp32 scales ``[..., 1]`` (``max|x| / 127``).
    """
    x = x.float()
    peak = x.abs().amax(dim=-1, keepdim=True).clamp(min=SMALLEST_PEAK)
    codes = (x * (LARGEST_CODE / peak)).round().clamp(-LARGEST_CODE - 1, LARGEST_CODE)
    return codes.to(torch.int8), peak / LARGEST_CODE


def int8_quantize(x: Tensor) -> Tensor:
    """Activations rounded to their int8 grid, ``codes * scale``, in their own dtype."""
    codes, scale = int8_codes(x)
    return (codes.float() * scale).to(x.dtype)
