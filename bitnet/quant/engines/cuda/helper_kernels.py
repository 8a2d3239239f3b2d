"""Two small Triton kernels around the products: scaling a library's sums, and transposing codes.

Both only move memory. Torch's own operations would do, in more passes: scaling takes it three
kernels with an fp32 tensor between them, and its transposing copy handles one byte at a time.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK_ROWS, _BLOCK_COLUMNS = 16, 256
_SQUARE = 128


@triton.jit  # type: ignore[untyped-decorator]
def _scale_rows(
    total: tl.tensor,
    x_scale: tl.tensor,
    w_scale: tl.tensor,
    y: tl.tensor,
    M: tl.tensor,
    N: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
) -> None:
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside = (rows[:, None] < M) & (columns[None, :] < N)
    at = rows.to(tl.int64)[:, None] * N + columns[None, :]
    scale = tl.load(x_scale + rows, mask=rows < M, other=0.0) * tl.load(w_scale)
    value = tl.load(total + at, mask=inside, other=0).to(tl.float32) * scale[:, None]
    tl.store(y + at, value.to(y.dtype.element_ty), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _transpose(
    source: tl.tensor, target: tl.tensor, N: tl.tensor, K: tl.tensor, BLOCK: tl.constexpr
) -> None:
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    at = source + rows.to(tl.int64)[:, None] * K + columns[None, :]
    tile = tl.load(at, mask=(rows[:, None] < N) & (columns[None, :] < K), other=0)
    to = target + columns.to(tl.int64)[:, None] * N + rows[None, :]
    tl.store(to, tl.trans(tile), mask=(columns[:, None] < K) & (rows[None, :] < N))


def scaled_sums(total: Tensor, x_scale: Tensor, w_scale: Tensor, dtype: torch.dtype) -> Tensor:
    """``total * (x_scale * w_scale)`` in one pass.

    Args:
        total: int32 ``[M, N]``, contiguous.
        x_scale: fp32 ``[M, 1]``.
        w_scale: fp32 scalar.
        dtype: of the result.
    """
    m, n = total.shape
    y = total.new_empty((m, n), dtype=dtype)
    grid = (triton.cdiv(m, _BLOCK_ROWS), triton.cdiv(n, _BLOCK_COLUMNS))
    blocks = {"BLOCK_M": _BLOCK_ROWS, "BLOCK_N": _BLOCK_COLUMNS}
    with torch.cuda.device_of(y):
        _scale_rows[grid](total, x_scale, w_scale, y, m, n, **blocks)
    return y


def transposed_codes(codes: Tensor) -> Tensor:
    """int8 ``[N, K]`` to a contiguous ``[K, N]``, in one pass."""
    n, k = codes.shape
    target = codes.new_empty((k, n))
    with torch.cuda.device_of(codes):
        _transpose[(triton.cdiv(n, _SQUARE), triton.cdiv(k, _SQUARE))](
            codes, target, n, k, BLOCK=_SQUARE, num_warps=8
        )
    return target
