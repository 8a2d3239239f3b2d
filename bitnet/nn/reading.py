"""Where the tokens of a pass stand: what every layer that looks at positions is told.

It goes through blocks and linears alike, because a linear may itself be a small transformer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from bitnet.nn.cache import KVCache
from bitnet.nn.position import Rotation


class Reading(NamedTuple):
    """One pass over some tokens.

    Attributes:
        turn: rotation of this model's heads at these positions; ``None`` without rotary positions.
        inner_turn: rotation of the heads inside its stage layers; ``None`` if it has none.
        cache: what was read before; ``None`` if nothing is kept.
        documents_BS: the document of each token so far, those in the cache included; ``None``: all
            are of one.
        tiles: the same for FlexAttention, a ``BlockMask``; ``None``: attention is not made by it.
        cpu_kernel: a compiled pass attends by :mod:`bitnet.nn.cpu_attention`.
    """

    turn: Rotation | None = None
    inner_turn: Rotation | None = None
    cache: KVCache | None = None
    documents_BS: Tensor | None = None
    tiles: Any = None
    cpu_kernel: bool = False


def inside(reading: Reading) -> Reading:
    """The same pass as the blocks inside a stage layer see it."""
    return reading._replace(turn=reading.inner_turn, inner_turn=None)
