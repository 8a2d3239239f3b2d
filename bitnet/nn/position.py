"""Rotary positions (Su et al., 2021), the half-split form: no permutation is needed on export.

Angles are computed anew for each pass: that costs microseconds, and a model then has no tables that
a move between devices or dtypes could spoil.
"""

from __future__ import annotations

import torch
from torch import Tensor

Rotation = tuple[Tensor, Tensor]


def rotation(start: int, length: int, width: int, base: float, device: torch.device) -> Rotation:
    """Cosines and sines for positions ``start .. start + length - 1``.

    Args:
        start: first position.
        length: number of positions T.
        width: width of a head.
        base: base of the frequencies ``base ** (-2 i / width)``.
        device: where the angles are wanted.

    Returns:
        Two fp32 tensors ``[T, width / 2]``.
    """
    halves = torch.arange(0, width, 2, device=device, dtype=torch.float32)
    frequencies = base ** (-halves / width)
    positions = torch.arange(start, start + length, device=device, dtype=torch.float32)
    angles = positions[:, None] * frequencies
    return angles.cos(), angles.sin()


def rotate(x_BTHK: Tensor, turn: Rotation) -> Tensor:
    """Turn every head by its position; computed in fp32, returned in x's dtype."""
    cos, sin = (part[:, None, :] for part in turn)
    first, second = x_BTHK.float().chunk(2, dim=-1)
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    return turned.to(x_BTHK.dtype)
