"""What a pass is told before its first block: positions, documents, and what was read before."""

from __future__ import annotations

import torch
from torch import Tensor

from bitnet.nn.cache import KVCache
from bitnet.nn.documents import number_documents, tiles
from bitnet.nn.linear_spec import LinearSpec
from bitnet.nn.position import rotation
from bitnet.nn.reading import Reading
from bitnet.nn.shape import ModelShape

_LEAST_TILED_WIDTH = 16  # FlexAttention takes no narrower heads


def can_be_tiled(shape: ModelShape, linear: LinearSpec) -> bool:
    """Whether FlexAttention takes the model's heads, and those inside its stage layers."""
    return min(shape.head_width, _inner_width(linear) or shape.head_width) >= _LEAST_TILED_WIDTH


def begin(
    shape: ModelShape, linear: LinearSpec, tokens_BT: Tensor, cache: KVCache | None
) -> Reading:
    """Positions of the tokens, which follow those in the cache; of a stage's heads as well."""
    start, length = 0 if cache is None else cache.length, tokens_BT.shape[1]
    turn, inner_turn = (
        rotation(start, length, width, shape.rope_base, tokens_BT.device) if width else None
        for width in (shape.rotary_width, _inner_width(linear))
    )
    return Reading(turn, inner_turn, cache)


def _inner_width(linear: LinearSpec) -> int:
    return linear.stage.dim // linear.stage.heads if linear.kind == "stage" else 0


def with_documents(reading: Reading, tokens_BT: Tensor, end_token: int, tiled: bool) -> Reading:
    """The same, with the documents apart.

    Args:
        reading: of the tokens.
        tokens_BT: the tokens.
        end_token: opens a document.
        tiled: attention is to go by tiles, where nothing was read before.
    """
    cache = reading.cache
    if cache is None:
        documents_BT = number_documents(tokens_BT, end_token)
        mask = tiles(documents_BT) if tiled else None
        return reading._replace(documents_BS=documents_BT, tiles=mask)
    before_BS = cache.documents_BS
    last_B = None if before_BS is None else before_BS[:, -1]
    documents_BS = number_documents(tokens_BT, end_token, last_B)
    if before_BS is not None:
        documents_BS = torch.cat((before_BS, documents_BS), dim=1)
    cache.documents_BS = documents_BS
    return reading._replace(documents_BS=documents_BS)
