"""From tokens back to documents: which records of which files a sample is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitnet.data.prepared.layout import ENDS, ORIGINS, PLACES, TRAIN, mapped, part_name
from bitnet.data.prepared.shard_record import ShardRecord
from bitnet.data.prepared.shards import PreparedSet


@dataclass(frozen=True, slots=True)
class DocumentAt:
    """The part of a document that lies in a sample.

    Attributes:
        file: name of the input file, relative to the corpus.
        start: first byte of the range of the file in which the record was counted.
        record: number of the record in that range, from 0.
        first, last: place of the part in the sample: its tokens are `[first, last)`.
        skipped: tokens of the document before the part, `None` if they were not counted.
    """

    file: str
    start: int
    record: int
    first: int
    last: int
    skipped: int | None

    @property
    def place(self) -> str:
        """As editors name it where the line is known: `file:line`."""
        if self.start:
            return f"{self.file}: line {self.record + 1} after byte {self.start}"
        return f"{self.file}:{self.record + 1}"


@dataclass(frozen=True)
class SampleAt:
    """One sample of a run.

    Attributes:
        number: its number in the run.
        source: where it is from.
        epoch: passes over that source before it.
        window: which of the source's windows in that pass, `None` in a stream.
        tokens: its ids, `[T+1]` int32.
        documents: what it is made of, in order.
    """

    number: int
    source: str
    epoch: int
    window: int | None
    tokens: NDArray[np.int32]
    documents: tuple[DocumentAt, ...]


def documents_in(
    prepared: PreparedSet, name: str, start: int, length: int
) -> tuple[DocumentAt, ...]:
    """The documents of the `length` tokens from token `start` of a source on, round its end."""
    shards = [shard for shard in prepared.source(name).shards if shard.train.tokens]
    borders = np.cumsum([0, *(shard.train.tokens for shard in shards)])
    place = int(np.searchsorted(borders, start, side="right")) - 1
    offset, done = start - int(borders[place]), 0
    found: list[DocumentAt] = []
    while done < length:
        shard = shards[place]
        end = min(offset + length - done, shard.train.tokens)
        found += _in_shard(prepared.folder, shard, offset, end, done)
        done += end - offset
        place, offset = (place + 1) % len(shards), 0
    return tuple(found)


def _in_shard(
    folder: Path, shard: ShardRecord, begin: int, end: int, done: int
) -> list[DocumentAt]:
    """Documents of the tokens `[begin, end)` of a shard, which are the sample's from `done` on."""
    ends = mapped(folder / part_name(shard.source, shard.unit, TRAIN, ENDS), PLACES)
    origins = mapped(folder / part_name(shard.source, shard.unit, TRAIN, ORIGINS), PLACES)
    document = int(np.searchsorted(ends, begin, side="right"))
    found = []
    while begin < end:
        stop = min(end, int(ends[document]))
        starts = int(ends[document - 1]) if document else 0
        record, last = int(origins[document]), done + stop - begin
        found.append(
            DocumentAt(shard.file, shard.start, record, done, last, skipped=begin - starts)
        )
        begin, done, document = stop, last, document + 1
    return found
