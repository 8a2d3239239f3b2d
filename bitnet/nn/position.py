"""How a model knows the order of tokens: rotary angles and ALiBi's slopes.

Rotary positions (Su et al., 2021) are in the half-split form: no permutation is needed on export.
Angles are computed anew for each pass: that costs microseconds, and a model then has no tables that
a move between devices or dtypes could spoil.
"""

from __future__ import annotations

from math import ceil, log2

import torch
from torch import Tensor

Rotation = tuple[Tensor, Tensor]


def rotation(start: int, length: int, width: int, base: float, device: torch.device) -> Rotation:
    """Cosines and sines for positions ``start .. start + length - 1``.

    Args:
        start: first position.
        length: number of positions T.
        width: how much of a head's width rotates.
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
    """Turn every head by its position; computed in fp32, returned in x's dtype.

    If the angles cover less than a head's width, the rest of it stays as it is (GPT-NeoX).
    """
    cos, sin = (part[:, None, :] for part in turn)
    width = 2 * cos.shape[-1]
    # Halves are cut before they are widened and joined after they are rounded: what a compiler
    # joins, here and backward, it writes to memory.
    first, second = (half.float() for half in x_BTHK[..., :width].chunk(2, dim=-1))
    turned = (first * cos - second * sin, second * cos + first * sin)
    parts = [half.to(x_BTHK.dtype) for half in turned]
    if width < x_BTHK.shape[-1]:
        parts.append(x_BTHK[..., width:])
    return torch.cat(parts, dim=-1)


def alibi_slopes(heads: int, largest: float) -> Tensor:
    """Slopes of ALiBi (Press et al., 2022), fp32 ``[heads]``: ``2 ** (-largest * i / heads)``.

    For a number of heads that is no power of two, those of the next power are used: first every
    second one, from the second on, then the others, as MosaicML's models do.
    """
    power = 2 ** ceil(log2(heads))
    steps = torch.arange(1, power + 1, dtype=torch.float32)
    slopes = torch.exp2(-largest * steps / power)
    if power != heads:
        slopes = torch.cat((slopes[1::2], slopes[::2]))[:heads]
    return slopes
