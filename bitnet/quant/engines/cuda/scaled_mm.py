"""Launching the Triton products: which tiles there are, which a shape allows, and the call itself.

Tiles were chosen by counting, for Hopper. With 8-bit operands a tile of 128 x 256 x 128 reads
48 KiB for 2 x 4.2 M operations; three of them in flight take 144 KiB of the 227 KiB of shared
memory, and its 128 x 256 int32 sums fill half the registers of two warpgroups. A product of several
parts also holds the fp32 sum of the parts before, so its tiles are half as large. Small tiles serve
the shapes that would leave multiprocessors idle. Which is fastest where is measured
(``chooser.py``).

Nothing here waits for the device, and the launches can be captured in a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from bitnet.quant.engines.cuda.gemm_kernels import product_by_descriptors, product_by_pointers
from bitnet.quant.engines.cuda.operands import Operands

MOST_PARTS = 3
"""Query, key and value; more are summed by the library's way."""

ALIGNMENT = 16
"""Bytes at multiples of which rows must begin for the copy engine, and for the widest loads."""

_TRITON_DTYPES = {
    torch.bfloat16: tl.bfloat16,
    torch.float16: tl.float16,
    torch.float32: tl.float32,
}


class Tile(NamedTuple):
    """Sizes of the part of the product that one program makes, and how it is made.

    Attributes:
        m: rows of it.
        n: columns of it.
        k: depth of a step.
        warps: that share it; four make a warpgroup.
        stages: steps whose operands are in flight at a time.
        band: tiles of rows that are walked together (see ``gemm_kernels.py``).
    """

    m: int
    n: int
    k: int
    warps: int
    stages: int
    band: int = 8

    @property
    def label(self) -> str:
        """Such as ``128x256x128w8s3``."""
        return f"{self.m}x{self.n}x{self.k}w{self.warps}s{self.stages}"


# What Hopper gives one program, less what the compiler keeps for itself.
_SHARED_BYTES = 227 * 1024 - 2048

# The first of each is what runs where nothing can be measured. Compiled for sm_90 by Triton 3.6 and
# 3.7, none spills registers, and all but the tiny one use Hopper's own matrix instructions.
LARGE = (Tile(128, 256, 128, 8, 3), Tile(256, 128, 128, 8, 3), Tile(128, 256, 64, 8, 4))
MEDIUM = (Tile(128, 128, 128, 8, 4), Tile(128, 128, 128, 4, 3), Tile(128, 128, 64, 4, 4))
# One warpgroup cannot hold 128 x 128 sums twice: with more parts such tiles need two.
OF_PARTS = (Tile(128, 128, 128, 8, 4), Tile(128, 128, 64, 8, 5), Tile(64, 128, 128, 4, 4))
SMALL = (Tile(64, 128, 128, 4, 4), Tile(64, 64, 128, 4, 4))
TINY = (Tile(16, 64, 128, 4, 5),)


def tiles_for(rows: int, parts: int) -> tuple[Tile, ...]:
    """Tiles worth measuring for so many rows of x, up to a power of two, and parts of the sum."""
    if rows <= 64:
        return (*SMALL, *TINY)
    if parts > 1:
        return (*OF_PARTS, *SMALL[1:])
    return (*MEDIUM, *LARGE, *SMALL) if rows <= 4096 else (*LARGE, *MEDIUM)


def fits_with_descriptors(tile: Tile, itemsize: int) -> bool:
    """Whether the shared memory holds the steps in flight and, beside them, a tile of the result.

    Args:
        tile: the sizes in question.
        itemsize: bytes of a value of the result.
    """
    in_flight = tile.stages * (tile.m + tile.n) * tile.k
    return in_flight + tile.m * tile.n * itemsize <= _SHARED_BYTES


def multiply_by_pointers(operands: Operands, tile: Tile) -> Tensor:
    """The product through pointers; any shape.

    Args:
        operands: of one to three parts, with at least one row and column.
        tile: the sizes to use.

    Returns:
        ``[M, N]`` in the dtype that the operands ask for.
    """
    y = operands.new_result()
    grid = (_tiles(operands, tile),)
    slots = _slots(operands, lambda codes, _: codes)
    even = all(k % tile.k == 0 for k in operands.depths)
    with torch.cuda.device_of(y):
        product_by_pointers[grid](*slots, y, *y.shape, EVEN=even, **_meta(operands, tile))
    return y


def multiply_by_descriptors(operands: Operands, tile: Tile, programs: int) -> Tensor:
    """The product through the copy engine.

    Args:
        operands: of one to three parts, with at least one row and column; rows of the codes and of
            the result begin at multiples of 16 bytes.
        tile: the sizes to use.
        programs: to start at most; each makes one tile after another.

    Returns:
        ``[M, N]`` in the dtype that the operands ask for.
    """
    y = operands.new_result()
    grid = (min(programs, _tiles(operands, tile)),)
    described = _slots(operands, lambda t, rows: _described(t, rows, tile))
    with torch.cuda.device_of(y):
        product_by_descriptors[grid](
            *described,
            TensorDescriptor.from_tensor(y, [tile.m, tile.n]),
            *y.shape,
            DTYPE=_TRITON_DTYPES[operands.dtype],
            **_meta(operands, tile),
        )
    return y


def _described(codes: Tensor, side: str, tile: Tile) -> TensorDescriptor:
    return TensorDescriptor.from_tensor(codes, [tile.m if side == "x" else tile.n, tile.k])


def _slots(operands: Operands, given: Callable[[Tensor, str], Any]) -> list[Any]:
    """The kernels' arguments for three parts; the last part stands in for those there are not."""
    parts = [*operands.parts, *[operands.parts[-1]] * (MOST_PARTS - len(operands.parts))]
    slots: list[Any] = []
    for x_codes, x_scale, w_codes, w_scale in parts:
        slots += [given(x_codes, "x"), x_scale, given(w_codes, "w"), w_scale, x_codes.shape[1]]
    return slots


def _tiles(operands: Operands, tile: Tile) -> int:
    count: int = triton.cdiv(operands.m, tile.m) * triton.cdiv(operands.n, tile.n)
    return count


def _meta(operands: Operands, tile: Tile) -> dict[str, Any]:
    blocks = {"BLOCK_M": tile.m, "BLOCK_N": tile.n, "BLOCK_K": tile.k, "BAND": tile.band}
    launch = {"num_warps": tile.warps, "num_stages": tile.stages}
    # A fused multiply-add of the second part would round once less than the formula.
    return {"PARTS": len(operands.parts), **blocks, **launch, "enable_fp_fusion": False}
