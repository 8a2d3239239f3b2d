"""What is known about one finished shard, as it stands in its record and in the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bitnet.data.prepared.files import Stored
from bitnet.data.prepared.layout import SIDES, TRAIN, part_name


@dataclass(frozen=True, slots=True)
class SideRecord:
    """The training or the held-out documents of a shard.

    Attributes:
        tokens: token ids, the end token of each document included.
        documents: how many.
        bytes: their text as UTF-8.
        files: size and checksum of each file, by part.
    """

    tokens: int
    documents: int
    bytes: int
    files: dict[str, Stored]


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One shard.

    Attributes:
        source: the subset it is of.
        unit: its number among the units of the source.
        file: name of the input file, relative to the corpus.
        start, end: the range of bytes of that file (the end may be open).
        train, held_out: its documents.
        empty: records without text.
        broken: records that could not be used.
        faults: place and problem of the first of those.
        dropped: documents left out by a quality step, by reason.
    """

    source: str
    unit: int
    file: str
    start: int
    end: int | None
    train: SideRecord
    held_out: SideRecord
    empty: int
    broken: int
    faults: tuple[str, ...]
    dropped: dict[str, int]

    def side(self, name: str) -> SideRecord:
        """`train` or `held_out`, by name."""
        return self.train if name == TRAIN else self.held_out

    def files(self) -> Iterator[tuple[str, Stored]]:
        """Each file's path relative to the folder, and what it must be."""
        for side in SIDES:
            for part, stored in self.side(side).files.items():
                yield part_name(self.source, self.unit, side, part), stored

    def as_dict(self) -> dict[str, Any]:
        """Plain form for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ShardRecord:
        """Rebuild from `as_dict`.

        Raises:
            KeyError, TypeError: the values are not those of a record.
        """
        rebuilt = {side: _side_from(values[side]) for side in SIDES}
        return cls(**{**values, **rebuilt, "faults": tuple(values["faults"])})


def _side_from(values: Mapping[str, Any]) -> SideRecord:
    files = {part: Stored(**stored) for part, stored in values["files"].items()}
    return SideRecord(**{**values, "files": files})
