"""Ternary codes at 2 bits a weight, row by row: the form in which weights travel.

Rows are packed by themselves, because processes hold whole rows. Unlike the packing for files
(:mod:`bitnet.quant.packing`) nothing is checked here, since a check would wait for the device, and
the four codes that share a byte stand a quarter of a row apart, so that every step reads and writes
neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor

_PER_BYTE = 4


def packed_width(width: int) -> int:
    """Bytes of a packed row of ``width`` codes."""
    return -(-width // _PER_BYTE)


def pack_rows(codes_NK: Tensor, packed_NQ: Tensor) -> None:
    """Pack codes into ``packed_NQ``: code + 1 of column ``place * Q + q`` at bits ``2 * place``.

    Args:
        codes_NK: int8 codes in {-1, 0, 1}.
        packed_NQ: uint8, at least as many rows (further rows stay as they are), ``packed_width(K)``
            columns.
    """
    rows, quarter = codes_NK.shape[0], packed_NQ.shape[1]
    head_NQ = packed_NQ[:rows].zero_()
    for place, part in enumerate(codes_NK.split(quarter, dim=1)):
        head_NQ[:, : part.shape[1]] |= (part + 1).view(torch.uint8) << (2 * place)


def unpack_rows(packed_NQ: Tensor, codes_NK: Tensor) -> None:
    """Undo :func:`pack_rows`, into ``codes_NK``.

    Args:
        packed_NQ: uint8, at least as many rows as there are codes.
        codes_NK: int8; overwritten.
    """
    rows, quarter = codes_NK.shape[0], packed_NQ.shape[1]
    for place, part in enumerate(codes_NK.split(quarter, dim=1)):
        raised = (packed_NQ[:rows, : part.shape[1]] >> (2 * place)) & 3
        torch.sub(raised.view(torch.int8), 1, out=part)
