"""Ternary codes at 2 bits a weight, row by row: as a CPU's products read them, and as they travel.

Rows are packed by themselves, because processes hold whole rows and kernels read some at a time.
Unlike the packing for files (:mod:`bitnet.quant.packing`) nothing is checked here, since a check
would wait for the device.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor
from torch.library import custom_op

from bitnet.quant.engines.cpu.kernels import load, why_not

_PER_BYTE = 4


def packed_width(width: int) -> int:
    """Bytes of a packed row of ``width`` codes."""
    return -(-width // _PER_BYTE)


def held_codes(codes_NK: Tensor) -> Tensor:
    """Codes in the form in which their device's products read them.

    Args:
        codes_NK: int8 codes in {-1, 0, 1}.

    Returns:
        On a CPU :func:`packed_rows` of them, elsewhere the codes themselves.
    """
    if codes_NK.device.type != "cpu":
        return codes_NK
    packed: Tensor = packed_rows(codes_NK)
    return packed


@custom_op("bitnet::packed_rows", mutates_args=())
def packed_rows(codes_NK: Tensor) -> Tensor:
    """:func:`pack_rows` into a new uint8 ``[N, packed_width(K)]``."""
    packed_NQ: Tensor = _like(codes_NK)
    pack_rows(codes_NK, packed_NQ)
    return packed_NQ


@packed_rows.register_fake
def _like(codes_NK: Tensor) -> Tensor:
    size = (codes_NK.shape[0], packed_width(codes_NK.shape[1]))
    return codes_NK.new_empty(size, dtype=torch.uint8)


def pack_rows(codes_NK: Tensor, packed_NQ: Tensor) -> None:
    """Pack codes into ``packed_NQ``: code + 1 of column ``4 q + place`` at bits ``2 * place``.

    Args:
        codes_NK: int8 codes in {-1, 0, 1}.
        packed_NQ: uint8, contiguous, at least as many rows (further rows stay as they are),
            ``packed_width(K)`` columns. Bits past a row's end are 0.
    """
    rows, width = codes_NK.shape
    if codes_NK.device.type == "cpu" and why_not() is None:
        codes_NK = codes_NK.contiguous()
        addresses = (ctypes.c_void_p(each.data_ptr()) for each in (codes_NK, packed_NQ))
        load().bitnet_pack_rows(*addresses, ctypes.c_int64(rows), ctypes.c_int64(width))
        return
    head_NQ = packed_NQ[:rows].zero_()
    for place in range(_PER_BYTE):
        part = codes_NK[:, place::_PER_BYTE]
        head_NQ[:, : part.shape[1]] |= (part + 1).view(torch.uint8) << (2 * place)


def unpack_rows(packed_NQ: Tensor, codes_NK: Tensor) -> None:
    """Undo :func:`pack_rows`, into ``codes_NK``.

    Args:
        packed_NQ: uint8, at least as many rows as there are codes.
        codes_NK: int8; overwritten.
    """
    for place in range(_PER_BYTE):
        part = codes_NK[:, place::_PER_BYTE]
        raised = (packed_NQ[: part.shape[0], : part.shape[1]] >> (2 * place)) & 3
        part.copy_(raised.view(torch.int8) - 1)
