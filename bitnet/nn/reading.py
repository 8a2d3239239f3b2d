"""Where the tokens of a pass stand: what every layer that looks at positions is told.

It goes through blocks and linears alike, because a linear may itself be a small transformer.
"""

from __future__ import annotations

from typing import NamedTuple

from bitnet.nn.cache import KVCache
from bitnet.nn.position import Rotation


class Reading(NamedTuple):
    """One pass over some tokens.

    Attributes:
        turn: rotation of this model's heads at these positions; ``None`` without rotary positions.
        inner_turn: rotation of the heads inside its stage layers; ``None`` if it has none.
        cache: what was read before; ``None`` if nothing is kept.
    """

    turn: Rotation | None = None
    inner_turn: Rotation | None = None
    cache: KVCache | None = None


def inside(reading: Reading) -> Reading:
    """The same pass as the blocks inside a stage layer see it."""
    return Reading(reading.inner_turn, None, reading.cache)
