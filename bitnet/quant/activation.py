"""The activation quantiser of b1.58: every token becomes int8 times its own number.

Formula (The Era of 1-bit LLMs: training tips, figure 3): ``s = 127 / max|x|`` over the last
dimension, codes ``round(x * s)`` clamped to [-128, 127], ties to even. The arithmetic is fp32.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_PEAK = 1e-5
LARGEST_CODE = 127


SMALLEST_GRADIENT = 1e-30
"""Peak below which a row of a gradient counts as nothing: gradients have no scale of their own."""


def int8_codes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scales of activations, with ``x ~ codes * scale``.

    Args:
        x: activations ``[..., features]`` of any floating dtype.

    Returns:
        int8 codes of the same shape, and fp32 scales ``[..., 1]`` (``max|x| / 127``).
    """
    return _codes(x, SMALLEST_PEAK)


def gradient_codes(g: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scales of a gradient, row by row, with ``g ~ codes * scale``.

    The same rounding as of activations, whose least peak of 1e-5 is far above what the gradient of
    a mean over a million tokens holds. Uniform rounding adds about 0.8 % of a Gaussian row's rms.

    Args:
        g: gradient ``[..., features]`` of any floating dtype.

    Returns:
        int8 codes of the same shape, and fp32 scales ``[..., 1]``.
    """
    return _codes(g, SMALLEST_GRADIENT)


def _codes(x: Tensor, smallest: float) -> tuple[Tensor, Tensor]:
    x = x.float()
    peak = x.abs().amax(dim=-1, keepdim=True).clamp(min=smallest)
    codes = (x * (LARGEST_CODE / peak)).round().clamp(-LARGEST_CODE - 1, LARGEST_CODE)
    return codes.to(torch.int8), peak / LARGEST_CODE


def int8_quantize(x: Tensor) -> Tensor:
    """Activations rounded to their int8 grid, ``codes * scale``, in their own dtype."""
    codes, scale = int8_codes(x)
    return (codes.float() * scale).to(x.dtype)
