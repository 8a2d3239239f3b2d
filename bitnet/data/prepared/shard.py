"""The content of one shard: reads a unit, sorts its records, tokenises, shuffles.

Everything here depends on the unit and the rules alone, so a shard has the same bytes whoever makes
it, whenever, and in whatever company.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitnet.data.documents import Kind, judge
from bitnet.data.errors import DataError
from bitnet.data.keyed import keyed_order
from bitnet.data.pieces import pieces_of
from bitnet.data.prepared.jobs import ShardJob, ShardRules
from bitnet.data.prepared.layout import HELD_OUT, TRAIN
from bitnet.data.prepared.meter import Meter, Report
from bitnet.data.prepared.shard_record import ShardRecord
from bitnet.data.prepared.side import SideWriter
from bitnet.data.records import Record
from bitnet.data.sources import Source
from bitnet.data.tokenizer import Tokenizer

_CHARS_AT_ONCE = 1 << 16
_FAULTS_TOLD = 3


class _Piece(NamedTuple):
    """Text to be tokenised, the document's side, and its record number if it ends here."""

    side: SideWriter
    text: str
    ends: int | None


class Shard:
    """A shard in the making."""

    def __init__(
        self,
        job: ShardJob,
        source: Source,
        tokenizer: Tokenizer,
        rules: ShardRules,
        sides: Mapping[str, SideWriter],
        report: Report,
    ) -> None:
        self._job = job
        self._source = source
        self._tokenizer = tokenizer
        self._rules = rules
        self._sides = sides
        self._meter = Meter(report, job.place.start, job.size)
        self._pending: list[_Piece] = []
        self._characters = 0
        self._side: SideWriter | None = None
        self._empty = self._broken = 0
        self._faults: list[str] = []
        self._dropped: Counter[str] = Counter()

    def make(self) -> ShardRecord:
        """Read all records, then write the files."""
        for record in self._source.read(self._job.place):
            self._take(record)
            self._meter.read(record.consumed)
        self._tokenise()
        self._meter.finish()
        settled = {name: side.settle(self._order(name)) for name, side in self._sides.items()}
        place = self._job.place
        return ShardRecord(
            source=self._job.source,
            unit=self._job.unit,
            file=self._source.files[place.file].name,
            start=place.start,
            end=place.end,
            train=settled[TRAIN],
            held_out=settled[HELD_OUT],
            empty=self._empty,
            broken=self._broken,
            faults=tuple(self._faults),
            dropped=dict(sorted(self._dropped.items())),
        )

    def _order(self, side: str) -> NDArray[np.int64]:
        """Held-out documents stay in file order, like those that a stream holds out."""
        count = self._sides[side].documents
        if side == HELD_OUT or not self._rules.shuffle:
            return np.arange(count)
        return keyed_order(count, "prepared", self._job.source, self._job.unit)

    def _take(self, record: Record) -> None:
        """Put a record, or a part of one, where it belongs."""
        kind, _, problem = judge(record, self._rules.held_out_fraction)
        if record.part == 0:
            self._side = self._side_of(record, kind, problem)
        elif kind is Kind.BROKEN and self._side is not None:
            self._tokenise()
            self._side.drop_document()
            self._side = None
            self._count_broken(record, problem)
        if self._side is not None and record.text is not None:
            self._queue(self._side, record, record.text)

    def _side_of(self, record: Record, kind: Kind, problem: str) -> SideWriter | None:
        """Where a document goes, or None if it goes nowhere; that is counted."""
        if kind is Kind.EMPTY:
            self._empty += 1
        elif kind is Kind.BROKEN:
            self._count_broken(record, problem)
        elif reason := self._job.dropped.get(record.number):
            self._dropped[reason] += 1
        else:
            return self._sides[HELD_OUT if kind is Kind.HELD_OUT else TRAIN]
        return None

    def _count_broken(self, record: Record, problem: str) -> None:
        self._broken += 1
        told = len(self._faults) < _FAULTS_TOLD
        fault = ""
        if told or self._rules.stop_at_broken:
            fault = f"{self._source.place(self._job.place, record.number)}: {problem}"
        if self._rules.stop_at_broken:
            raise DataError(f"{fault}; on_bad_record=skip counts and skips it")
        if told:
            self._faults.append(fault)
        self._meter.broken(fault)

    def _queue(self, side: SideWriter, record: Record, text: str) -> None:
        """Queue a text piece by piece; the last piece of a document says that it is."""
        for start, end in pieces_of(text):
            ends = record.number if record.last and end == len(text) else None
            self._pending.append(_Piece(side, text[start:end], ends))
            self._characters += end - start
            if self._characters >= _CHARS_AT_ONCE:
                self._tokenise()
        if record.last and not text:
            self._pending.append(_Piece(side, "", record.number))

    def _tokenise(self) -> None:
        """Tokenise what is queued and hand it to the sides."""
        pending, self._pending, self._characters = self._pending, [], 0
        encoded = self._tokenizer.encode_batch([piece.text for piece in pending])
        for piece, ids in zip(pending, encoded, strict=True):
            if piece.ends is not None:
                ids.append(self._tokenizer.eos_id)
            piece.side.add(ids, len(piece.text.encode()))
            if piece.ends is not None:
                piece.side.end_document(piece.ends)
            self._meter.made(len(ids))
