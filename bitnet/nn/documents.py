"""Who sees whom when several documents share a sequence.

Packing lays documents end to end, and plain causal attention lets each look at all before it. With
an end token named, it does not: that token opens the text that follows it, and nothing from it on
sees what stands before. So it is read as a beginning, as generation from an empty prompt reads it,
and the first word of a document is predicted from the end token alone.

Positions stay those in the sequence. Rotary angles and ALiBi's prices depend on distances, which
are the same inside a document; learned positions tell a document where it happens to lie.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_TILE = 128
"""Rows and columns that FlexAttention takes or leaves together."""


def number_documents(tokens_BT: Tensor, end_token: int, last_B: Tensor | None = None) -> Tensor:
    """The document each token belongs to, int32 ``[B, T]``, counted from 0.

    Args:
        tokens_BT: token ids.
        end_token: opens a document.
        last_B: of the token before these; ``None``: they are the first.
    """
    numbers_BT = (tokens_BT == end_token).cumsum(dim=1, dtype=torch.int32)
    return numbers_BT if last_B is None else numbers_BT + last_B[:, None]


def apart(documents_BS: Tensor, rows: int) -> Tensor:
    """Whether a token and one before it are of different documents, bool ``[B, rows, S]``.

    Args:
        documents_BS: of all tokens that are there.
        rows: how many of them, the last ones, look at the others.
    """
    looking_BT = documents_BS[:, documents_BS.shape[1] - rows :]
    return looking_BT[:, :, None] != documents_BS[:, None, :]


def tiles(documents_BT: Tensor) -> Any:
    """FlexAttention's mask for one pass: which tiles are looked at, which of those in part.

    Numbers grow along the sequence, so its first and last token say all about a tile; nothing of
    size T x T is made.

    Returns:
        A ``torch.nn.attention.flex_attention.BlockMask`` for ``[B, heads, T, T]``.
    """
    from torch.nn.attention.flex_attention import BlockMask  # slow to import

    length = documents_BT.shape[1]
    first_BN = documents_BT[:, ::_TILE]
    ends = torch.arange(_TILE - 1, length + _TILE - 1, _TILE, device=documents_BT.device)
    last_BN = documents_BT[:, ends.clamp(max=length - 1)]
    place = torch.arange(first_BN.shape[1], device=documents_BT.device)
    meets_BNM = first_BN[:, :, None] <= last_BN[:, None, :]
    seen_BNM = meets_BNM & (place[:, None] >= place)
    # A tile in the past lies wholly in one document if its first token is in this tile's last.
    whole_BNM = (last_BN[:, :, None] == first_BN[:, None, :]) & (place[:, None] > place)
    whole_BNM &= (place < length // _TILE)[:, None]  # a tile that the sequence fills in part is not

    def visible(batch: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return (row >= column) & (documents_BT[batch, row] == documents_BT[batch, column])

    return BlockMask.from_kv_blocks(
        *_listed(seen_BNM & ~whole_BNM),
        *_listed(whole_BNM),
        BLOCK_SIZE=_TILE,
        mask_mod=visible,
        seq_lengths=(length, length),
    )


def _listed(wanted_BNM: Tensor) -> tuple[Tensor, Tensor]:
    """How many tiles of each row are wanted, and which, those first; of one head for all."""
    counts = wanted_BNM.sum(dim=-1, dtype=torch.int32)
    order = wanted_BNM.int().argsort(dim=-1, descending=True, stable=True).to(torch.int32)
    return counts[:, None], order[:, None]
