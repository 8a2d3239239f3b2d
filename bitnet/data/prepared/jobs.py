"""What is to be done for a shard: which unit of which source, and by which rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bitnet.data.records import Unit


@dataclass(frozen=True, slots=True)
class ShardRules:
    """What is done with the records of every shard.

    Attributes:
        held_out_fraction: share of the documents that never train.
        shuffle: put the training documents in a keyed order.
        stop_at_broken: an unusable record ends the work; else it is counted.
    """

    held_out_fraction: float
    shuffle: bool = True
    stop_at_broken: bool = True


@dataclass(frozen=True, slots=True)
class ShardJob:
    """One shard to be made.

    Attributes:
        source: name of the source.
        unit: number of the unit among those of the source.
        place: the unit.
        size: its stored bytes, 0 if unknown.
        dropped: records that a quality step leaves out, and why.
    """

    source: str
    unit: int
    place: Unit
    size: int
    dropped: Mapping[int, str] = field(default_factory=dict)
