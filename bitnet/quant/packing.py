"""Ternary codes at 2 bits a weight, for files and for memory that must be small.

Code ``c`` is stored as ``c + 1`` (0, 1 or 2); four neighbours in row-major order share a byte, the
first in the lowest bits. The last byte is filled up with zero codes, so any shape packs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

_PER_BYTE = 4
_SHIFTS = (0, 2, 4, 6)


def pack_ternary(codes: Tensor) -> Tensor:
    """Pack ternary codes, four to a byte.

    Args:
        codes: int8 codes in {-1, 0, 1}, any shape.

    Returns:
        uint8 ``[ceil(count / 4)]`` on the same device.

    Raises:
        ValueError: a code is not -1, 0 or 1, or the dtype is not int8.
    """
    if codes.dtype != torch.int8:
        raise ValueError(f"ternary codes are int8, not {codes.dtype}")
    if codes.numel() and bool((codes.abs() > 1).any() | (codes == -128).any()):
        raise ValueError("only the codes -1, 0 and 1 can be packed at 2 bits")
    raised = (codes.flatten() + 1).to(torch.uint8)
    raised = torch.nn.functional.pad(raised, (0, -raised.numel() % _PER_BYTE), value=1)
    quads = raised.view(-1, _PER_BYTE)
    packed = quads[:, 0].clone()
    for place in range(1, _PER_BYTE):
        packed |= quads[:, place] << _SHIFTS[place]
    return packed


def unpack_ternary(packed: Tensor, shape: Sequence[int]) -> Tensor:
    """Undo :func:`pack_ternary`.

    Args:
        packed: uint8 ``[ceil(prod(shape) / 4)]``.
        shape: shape of the codes that were packed.

    Returns:
        int8 codes of ``shape``.

    Raises:
        ValueError: the number of bytes does not fit the shape, or a byte holds no ternary code.
    """
    count = prod(shape)
    expected = -(-count // _PER_BYTE)
    if packed.dtype != torch.uint8 or packed.shape != (expected,):
        found = f"{packed.dtype} {list(packed.shape)}"
        raise ValueError(f"codes of shape {list(shape)} pack to uint8 [{expected}], not {found}")
    raised = torch.stack([(packed >> shift) & 3 for shift in _SHIFTS], dim=-1)
    if bool((raised == 3).any()):
        raise ValueError("the packed bytes hold a value that is no ternary code")
    return (raised.flatten()[:count].to(torch.int8) - 1).view(tuple(shape))
