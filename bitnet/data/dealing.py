"""Deals the units of a source to the streams: who reads what.

Streams must not depend on how many files a source happens to have. Large plain files are cut into
ranges, so that a subset of one file feeds many readers without each reading all of it; only when
there is still too little for a unit each do all streams go through everything and keep every n-th
group of records; then they share the reading (`tape.py`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from bitnet.data.records import Unit
from bitnet.data.sources import Source

SMALLEST_RANGE = 1 << 20
LARGEST_RANGE = 1 << 26
_UNITS_PER_STREAM = 4
"""Enough units that the streams' parts are of much the same size."""

_GROUPS_PER_STREAM = 16
_RECORDS_LOOKED_AT = 64
_LOOKED_AT_ONCE = 1 << 20
_EXPANSION = 4
"""Bytes of JSON in a stored byte, roughly; it decides nothing but the size of groups."""


@dataclass(frozen=True, slots=True)
class Share:
    """One stream's part of a source.

    Attributes:
        units: the units it reads.
        modulus: it keeps one of so many groups of their records.
        group: consecutive records that are kept together.
        sizes: stored bytes of each unit, 0 if unknown.
    """

    units: tuple[Unit, ...]
    modulus: int
    group: int
    sizes: tuple[int, ...]

    def per_mille(self, order: list[int], place: int, consumed: int) -> int:
        """Part of a pass that is done in the unit at `place` of `order`, by stored bytes.

        Args:
            order: numbers of the units as the pass reads them.
            place: units that are done.
            consumed: stored bytes of the next unit's file that have been read.
        """
        # Files of unknown size (on the web) leave the estimate at whole passes.
        whole = max(1, sum(self.sizes))
        read = sum(self.sizes[number] for number in order[:place])
        if place < len(order):
            read += max(0, consumed - self.units[order[place]].start)
        return min(1000, 1000 * read // whole)


def share_of(source: Source, stream: int, streams: int, block_bytes: int) -> Share:
    """The part of `source` that belongs to stream number `stream` of `streams`.

    Args:
        source: any source.
        stream: the stream.
        streams: how many there are.
        block_bytes: text that a stream shuffles together; a group of records is at most that.
    """
    units = _units(source, streams)
    dealt = len(units) >= streams
    mine = units[stream::streams] if dealt else units
    sizes = tuple(_size(source, unit) for unit in mine)
    if dealt:
        return Share(mine, 1, 1, sizes)
    return Share(mine, streams, _group(source, streams, block_bytes), sizes)


@lru_cache(maxsize=256)
def _group(source: Source, streams: int, block_bytes: int) -> int:
    """Records that are dealt together, so that streams need not all wade through all records."""
    if not source.shares(Unit(0)):
        return 1
    sizes = [len(line.content) for line in islice(source.lines(Unit(0)), _RECORDS_LOOKED_AT)]
    mean = max(1, sum(sizes) // max(1, len(sizes)))
    text = sum(file.stored_bytes() for file in source.files) * _EXPANSION
    if 0 < text <= streams * block_bytes:
        return 1  # no more than is shuffled together anyway: dealt singly it mixes best
    # So many groups that no stream gets much more than another; unknown sizes (0) are large.
    fair = text // (_GROUPS_PER_STREAM * streams) if text else block_bytes
    return max(1, min(fair, block_bytes) // mean)


def _units(source: Source, streams: int) -> tuple[Unit, ...]:
    """Ranges of the files if files alone are too few, but ranges are not."""
    whole = tuple(Unit(number) for number in range(len(source.files)))
    if len(whole) >= _UNITS_PER_STREAM * streams:
        return whole
    size = sum(file.stored_bytes() for file in source.files)
    cut = _beginning_records(source, range_bytes_for(size, streams))
    return cut if len(cut) >= streams else whole


@lru_cache(maxsize=256)
def _beginning_records(source: Source, range_bytes: int) -> tuple[Unit, ...]:
    """The units in which a record begins: a document may be longer than many of them.

    Only local files are looked into; a range far away is taken to hold records.
    """
    return tuple(
        unit
        for unit in source.units(range_bytes)
        if not unit.start
        or source.files[unit.file].is_remote
        or _a_line_begins(source.files[unit.file].location, unit)
    )


def _a_line_begins(path: str, unit: Unit) -> bool:
    end = os.path.getsize(path) if unit.end is None else unit.end
    with open(path, "rb") as file:
        file.seek(unit.start - 1)
        while (at := file.tell()) < end - 1:
            line = file.readline(min(_LOOKED_AT_ONCE, end - 1 - at))
            if line.endswith(b"\n"):
                return True
    return False


def range_bytes_for(size: int, streams: int) -> int:
    """Length of the ranges that `size` stored bytes are cut into for so many streams."""
    return min(LARGEST_RANGE, max(SMALLEST_RANGE, -(-size // (_UNITS_PER_STREAM * streams))))


def _size(source: Source, unit: Unit) -> int:
    end = source.files[unit.file].size if unit.end is None else unit.end
    return max(0, end - unit.start)
