"""One reading of a compressed file for all streams of a process.

A compressed file can only be read from its beginning. When there are fewer files than streams,
every stream would decompress all of them to keep a part. The streams move at the same pace, so here
one reader runs ahead of them, and what belongs to another stream waits, unparsed, until that asks
for it. This is speed alone: what is not found waiting is read by the stream itself, to the same
records.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator

from bitnet.data.records import RawRecord, Record, Selection, Unit
from bitnet.data.sources import Source

_WAITING_BYTES = 1 << 25
_TAPES_KEPT = 2
"""Of one source: streams that are done with a pass begin the next while others end theirs."""


class Tape:
    """A file that is read once, in groups of records."""

    def __init__(
        self, source: Source, unit: Unit, group: int, modulus: int, mine: Collection[int]
    ) -> None:
        """Stand at the beginning of `unit`; groups with a remainder in `mine` are waited for."""
        self._source = source
        self._group = group
        self._modulus = modulus
        self._mine = mine
        self._lines = source.lines(unit)
        self._waiting: OrderedDict[int, list[RawRecord]] = OrderedDict()
        self._bytes = 0
        self._passed = -1
        self._damaged = False
        self._next: RawRecord | None = next(self._lines, None)

    def group(self, number: int) -> list[RawRecord] | None:
        """The lines of group `number`, `[]` behind the end; None if they are gone by.

        They can be asked for once.
        """
        if number in self._waiting:
            lines = self._waiting.pop(number)
            self._bytes -= sum(len(line.content) for line in lines)
            return lines
        if number <= self._passed or self._damaged:
            return None
        while self._next is not None:
            at, lines = self._next.number // self._group, self._take()
            if at == number:
                return lines
            if at % self._modulus in self._mine:
                self._keep(at, lines)
        return []

    def _take(self) -> list[RawRecord]:
        """The lines of the group that comes next."""
        assert self._next is not None
        lines, at = [self._next], self._next.number // self._group
        self._passed = at
        self._damaged = True  # unless the file can be read on: its end must not be taken for it
        for line in self._lines:
            if line.number // self._group != at:
                self._next, self._damaged = line, False
                return lines
            lines.append(line)
        self._next, self._damaged = None, False
        return lines

    def _keep(self, number: int, lines: list[RawRecord]) -> None:
        self._waiting[number] = lines
        self._bytes += sum(len(line.content) for line in lines)
        while self._bytes > _WAITING_BYTES:
            _, dropped = self._waiting.popitem(last=False)
            self._bytes -= sum(len(line.content) for line in dropped)


class Tapes:
    """The tapes of one process."""

    def __init__(self, mine: Collection[int]) -> None:
        """`mine`: the streams that read in this process."""
        self._mine = frozenset(mine)
        self._tapes: dict[str, OrderedDict[tuple[int, Unit], Tape]] = {}

    def records(
        self, source: Source, unit: Unit, epoch: int, selection: Selection
    ) -> Iterator[Record]:
        """The selected records of a whole file, exactly as `source.read` yields them.

        Args:
            source: a source whose files can be shared.
            unit: a whole file.
            epoch: the pass that the stream is in.
            selection: groups of records of one stream.
        """
        group, modulus = selection.group, selection.modulus
        number = selection.first // group
        number += (selection.remainder - number) % modulus
        mine = {(stream - unit.file) % modulus for stream in self._mine}
        while True:
            lines = self._tape(source, unit, epoch, group, modulus, mine).group(number)
            if lines is None or not all(line.whole for line in lines):
                yield from self._alone(source, unit, selection, number)
            elif not lines:
                return
            else:
                for line in lines:
                    if line.number >= selection.first:
                        record = source.parse(line)
                        if record is not None:
                            yield record
            number += modulus

    @staticmethod
    def _alone(source: Source, unit: Unit, selection: Selection, number: int) -> Iterator[Record]:
        """One group, read from the beginning of the file."""
        start = max(selection.first, number * selection.group)
        own = Selection(start, selection.modulus, selection.remainder, 0, selection.group)
        for record in source.read(unit, own):
            if record.number >= (number + 1) * selection.group:
                return
            yield record

    def _tape(
        self, source: Source, unit: Unit, epoch: int, group: int, modulus: int, mine: set[int]
    ) -> Tape:
        tapes = self._tapes.setdefault(source.name, OrderedDict())
        key = (epoch, unit)
        if key not in tapes:
            while len(tapes) >= _TAPES_KEPT:
                tapes.popitem(last=False)
            tapes[key] = Tape(source, unit, group, modulus, mine)
        return tapes[key]
