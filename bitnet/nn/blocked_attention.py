"""Causal attention in blocks of rows, for compiled passes on CPU.

PyTorch's fused CPU attention runs at a tenth of the speed of its matrix products. Here the products
are plain batched ones and the compiler fuses the softmax between them: three times as fast, and
still nothing of size T x T is kept for backward, which computes the shares anew (Dao et al., 2022).
A block of rows skips the columns it may not see. The order of all sums is fixed, so a pass gives
the same bits every time. Scores pass between kernels in the dtype of the input; softmax is fp32.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

_SMALLEST_BLOCK = 128
_MOST_BLOCKS = 8


def blocked_attention(
    q_BHTK: Tensor,
    k_BHTK: Tensor,
    v_BHTK: Tensor,
    scale: float,
    slopes_H: Tensor | None = None,
    documents_BT: Tensor | None = None,
) -> Tensor:
    """``softmax(q k' * scale + ALiBi + causal mask) v``, ``[B, H, T, K]``.

    Args:
        q_BHTK: queries.
        k_BHTK: keys; of fewer heads if H divides by theirs.
        v_BHTK: values, like the keys.
        scale: of the scores.
        slopes_H: of ALiBi, a head's price of each token's distance; ``None``: distance is free.
        documents_BT: of each token; it does not see those of others. ``None``: there is but one.
    """
    groups = q_BHTK.shape[1] // k_BHTK.shape[1]
    if groups > 1:
        k_BHTK, v_BHTK = (x.repeat_interleave(groups, dim=1) for x in (k_BHTK, v_BHTK))
    flat = (x.flatten(0, 1).contiguous() for x in (q_BHTK, k_BHTK, v_BHTK))
    slopes_N = None if slopes_H is None else slopes_H.repeat(q_BHTK.shape[0])
    texts_NT = None
    if documents_BT is not None:
        texts_NT = documents_BT.repeat_interleave(q_BHTK.shape[1], dim=0)
    y_NTK: Tensor = _BlockedAttention.apply(*flat, slopes_N, texts_NT, scale)  # type: ignore[no-untyped-call]
    return y_NTK.view(q_BHTK.shape)


def _blocks(length: int) -> list[tuple[int, int]]:
    size = max(_SMALLEST_BLOCK, -(-length // _MOST_BLOCKS))
    edges = [*range(0, length, size), length]
    return list(pairwise(edges))


def _scores(
    q_NRK: Tensor,
    k_NSK: Tensor,
    place: tuple[int, int],
    scale: float,
    slopes_N: Tensor | None,
    texts_NT: Tensor | None,
) -> Tensor:
    """Scaled fp32 scores of some rows over some columns, minus infinity where nothing is seen.

    ``place`` is the first row and the first column.
    """
    scores_NRS = (q_NRK @ k_NSK.transpose(1, 2)).float() * scale
    rows_R = torch.arange(q_NRK.shape[1], device=q_NRK.device) + place[0]
    columns_S = torch.arange(k_NSK.shape[1], device=q_NRK.device) + place[1]
    ahead_RS = columns_S - rows_R[:, None]
    if slopes_N is not None:
        scores_NRS = scores_NRS + slopes_N[:, None, None] * ahead_RS
    scores_NRS = scores_NRS.masked_fill(ahead_RS > 0, -torch.inf)
    if texts_NT is None:
        return scores_NRS
    texts_NR, texts_NS = (
        texts_NT[:, start : start + x.shape[1]]
        for start, x in zip(place, (q_NRK, k_NSK), strict=True)
    )
    return scores_NRS.masked_fill(texts_NR[:, :, None] != texts_NS[:, None, :], -torch.inf)


class _BlockedAttention(Function):
    @staticmethod
    def forward(
        ctx: Any,
        q_NTK: Tensor,
        k_NTK: Tensor,
        v_NTK: Tensor,
        slopes_N: Tensor | None,
        texts_NT: Tensor | None,
        scale: float,
    ) -> Tensor:
        outputs, log_totals = [], []
        for start, end in _blocks(q_NTK.shape[1]):
            q_NRK, k_NSK = q_NTK[:, start:end], k_NTK[:, :end]
            scores_NRS = _scores(q_NRK, k_NSK, (start, 0), scale, slopes_N, texts_NT)
            log_total_NR1 = scores_NRS.logsumexp(dim=-1, keepdim=True)
            shares_NRS = (scores_NRS - log_total_NR1).exp().to(q_NTK.dtype)
            outputs.append(shares_NRS @ v_NTK[:, :end])
            log_totals.append(log_total_NR1)
        y_NTK = torch.cat(outputs, dim=1)
        log_total_NT1 = torch.cat(log_totals, dim=1)
        ctx.save_for_backward(q_NTK, k_NTK, v_NTK, y_NTK, log_total_NT1, slopes_N, texts_NT)
        ctx.scale = scale
        return y_NTK

    @staticmethod
    def backward(ctx: Any, grad_NTK: Tensor) -> tuple[Tensor | None, ...]:
        q_NTK, k_NTK, v_NTK, y_NTK, log_total_NT1, *marks = ctx.saved_tensors
        dtype, scale = q_NTK.dtype, ctx.scale
        mean_NT1 = (grad_NTK.float() * y_NTK.float()).sum(dim=-1, keepdim=True)
        blocks = _blocks(q_NTK.shape[1])
        dk, dv = [], []
        dq: list[list[Tensor]] = [[] for _ in blocks]
        # By columns: a block of keys is seen from its first row on, and its sums are whole.
        for place, (start, end) in enumerate(blocks):
            q_NRK, grad_NRK = q_NTK[:, start:], grad_NTK[:, start:]
            scores_NRS = _scores(q_NRK, k_NTK[:, start:end], (start, start), scale, *marks)
            shares_NRS = (scores_NRS - log_total_NT1[:, start:]).exp()
            change_NRS = (grad_NRK @ v_NTK[:, start:end].transpose(1, 2)).float()
            ds_NRS = (shares_NRS * (change_NRS - mean_NT1[:, start:]) * scale).to(dtype)
            dv.append(shares_NRS.to(dtype).transpose(1, 2) @ grad_NRK)
            dk.append(ds_NRS.transpose(1, 2) @ q_NRK)
            part_NRK = ds_NRS @ k_NTK[:, start:end]
            for later in range(place, len(blocks)):
                rows = slice(blocks[later][0] - start, blocks[later][1] - start)
                dq[later].append(part_NRK[:, rows].float())
        return _joined(dq, dtype), torch.cat(dk, dim=1), torch.cat(dv, dim=1), None, None, None


def _joined(parts: list[list[Tensor]], dtype: torch.dtype) -> Tensor:
    """Add up each block's parts in fp32, in order, and put the blocks together."""
    sums = []
    for block in parts:
        total = block[0]
        for part in block[1:]:
            total = total + part
        sums.append(total.to(dtype))
    return torch.cat(sums, dim=1)
