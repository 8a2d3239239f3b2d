"""The int8 products themselves, in Triton: exact integer sums, and the scales where y is stored.

Both kernels compute ``y[m, n] = sum_i (sum_k x_i[m, k] w_i[n, k]) * (x_scale_i[m] * w_scale_i)``
for one, two or three parts i, with x and w in int8, contiguous along k: the one arrangement in
which Hopper's tensor cores take int8. Forward has one part. The input gradient has one for each
weight that read the input, with the weights transposed: their sum is made here, in fp32, and
rounded to y's dtype once. Integer sums are exact up to ``2**24 / 127`` codes a row, in int32 and as
fp32.

One kernel reads through pointers and masks its edges, so it takes any shape. The other has the
chip's copy engine read and write whole tiles, which saves registers and instructions, and needs
rows that begin at multiples of 16 bytes.

Programs are numbered so that those that run together share tiles: they walk bands of ``BAND`` tiles
of rows, column by column, and the weights' tiles stay in L2 for a whole band.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def tile_at(
    place: tl.tensor,
    M: tl.tensor,
    N: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BAND: tl.constexpr,
) -> tl.tensor:
    """The tile (its row and its column, in tiles) that is the ``place``-th in walking order."""
    tiles_down = tl.cdiv(M, BLOCK_M)
    band_size = BAND * tl.cdiv(N, BLOCK_N)
    first_row = (place // band_size) * BAND
    height = tl.minimum(tiles_down - first_row, BAND)
    place_in_band = place % band_size
    return first_row + place_in_band % height, place_in_band // height


@triton.jit  # type: ignore[untyped-decorator]
def scaled(
    total: tl.tensor, x_scale: tl.tensor, w_scale: tl.tensor, rows: tl.tensor, M: tl.tensor
) -> tl.tensor:
    """An int32 tile in real numbers, fp32; the product of the scales is rounded first."""
    scale = tl.load(x_scale + rows, mask=rows < M, other=0.0) * tl.load(w_scale)
    return total.to(tl.float32) * scale[:, None]


@triton.jit  # type: ignore[untyped-decorator]
def part_by_pointers(
    x: tl.tensor,
    x_scale: tl.tensor,
    w: tl.tensor,
    w_scale: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    M: tl.tensor,
    N: tl.tensor,
    K: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    EVEN: tl.constexpr,
) -> tl.tensor:
    """One part of one tile, in fp32. ``EVEN``: BLOCK_K divides every K, no mask is needed."""
    depth = tl.arange(0, BLOCK_K)
    # Past the edges the first rows are read again: cheaper than masks, and never stored.
    x_at = x + (rows % M).to(tl.int64)[:, None] * K + depth[None, :]
    w_at = w + (columns % N).to(tl.int64)[None, :] * K + depth[:, None]
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.int32)
    for start in range(0, K, BLOCK_K):
        if EVEN:
            x_tile = tl.load(x_at)
            w_tile = tl.load(w_at)
        else:
            x_tile = tl.load(x_at, mask=depth[None, :] < K - start, other=0)
            w_tile = tl.load(w_at, mask=depth[:, None] < K - start, other=0)
        total = tl.dot(x_tile, w_tile, total, out_dtype=tl.int32)
        x_at += BLOCK_K
        w_at += BLOCK_K
    return scaled(total, x_scale, w_scale, rows, M)


@triton.jit  # type: ignore[untyped-decorator]
def product_by_pointers(
    x0: tl.tensor, x_scale0: tl.tensor, w0: tl.tensor, w_scale0: tl.tensor, K0: tl.tensor,
    x1: tl.tensor, x_scale1: tl.tensor, w1: tl.tensor, w_scale1: tl.tensor, K1: tl.tensor,
    x2: tl.tensor, x_scale2: tl.tensor, w2: tl.tensor, w_scale2: tl.tensor, K2: tl.tensor,
    y: tl.tensor, M: tl.tensor, N: tl.tensor,
    PARTS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, BAND: tl.constexpr,
    EVEN: tl.constexpr,
) -> None:  # fmt: skip
    """One tile of y a program; any sizes."""
    row, column = tile_at(tl.program_id(0), M, N, BLOCK_M, BLOCK_N, BAND)
    rows = row * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = column * BLOCK_N + tl.arange(0, BLOCK_N)
    value = part_by_pointers(
        x0, x_scale0, w0, w_scale0, rows, columns, M, N, K0, BLOCK_M, BLOCK_N, BLOCK_K, EVEN
    )
    if PARTS > 1:
        value += part_by_pointers(
            x1, x_scale1, w1, w_scale1, rows, columns, M, N, K1, BLOCK_M, BLOCK_N, BLOCK_K, EVEN
        )
    if PARTS > 2:
        value += part_by_pointers(
            x2, x_scale2, w2, w_scale2, rows, columns, M, N, K2, BLOCK_M, BLOCK_N, BLOCK_K, EVEN
        )
    y_at = y + rows.to(tl.int64)[:, None] * N + columns[None, :]
    inside = (rows[:, None] < M) & (columns[None, :] < N)
    tl.store(y_at, value.to(y.dtype.element_ty), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def part_by_descriptors(
    x: tl.tensor,
    x_scale: tl.tensor,
    w: tl.tensor,
    w_scale: tl.tensor,
    row: tl.tensor,
    column: tl.tensor,
    M: tl.tensor,
    K: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> tl.tensor:
    """One part of one tile, in fp32; the copy engine reads zeros past the edges."""
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.int32)
    for start in range(0, K, BLOCK_K):
        x_tile = x.load([row * BLOCK_M, start])
        w_tile = w.load([column * BLOCK_N, start])
        total = tl.dot(x_tile, w_tile.T, total, out_dtype=tl.int32)
    rows = row * BLOCK_M + tl.arange(0, BLOCK_M)
    return scaled(total, x_scale, w_scale, rows, M)


@triton.jit  # type: ignore[untyped-decorator]
def product_by_descriptors(
    x0: tl.tensor, x_scale0: tl.tensor, w0: tl.tensor, w_scale0: tl.tensor, K0: tl.tensor,
    x1: tl.tensor, x_scale1: tl.tensor, w1: tl.tensor, w_scale1: tl.tensor, K1: tl.tensor,
    x2: tl.tensor, x_scale2: tl.tensor, w2: tl.tensor, w_scale2: tl.tensor, K2: tl.tensor,
    y: tl.tensor, M: tl.tensor, N: tl.tensor,
    PARTS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, BAND: tl.constexpr,
    DTYPE: tl.constexpr,
) -> None:  # fmt: skip
    """Tiles of y, as many as fall to a program; x, w and y are descriptors of whole tensors."""
    tiles = tl.cdiv(M, BLOCK_M) * tl.cdiv(N, BLOCK_N)
    for place in range(tl.program_id(0), tiles, tl.num_programs(0)):
        row, column = tile_at(place, M, N, BLOCK_M, BLOCK_N, BAND)
        value = part_by_descriptors(
            x0, x_scale0, w0, w_scale0, row, column, M, K0, BLOCK_M, BLOCK_N, BLOCK_K
        )
        if PARTS > 1:
            value += part_by_descriptors(
                x1, x_scale1, w1, w_scale1, row, column, M, K1, BLOCK_M, BLOCK_N, BLOCK_K
            )
        if PARTS > 2:
            value += part_by_descriptors(
                x2, x_scale2, w2, w_scale2, row, column, M, K2, BLOCK_M, BLOCK_N, BLOCK_K
            )
        y.store([row * BLOCK_M, column * BLOCK_N], value.to(DTYPE))
