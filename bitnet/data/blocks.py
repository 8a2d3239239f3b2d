"""Reads a stream's part of a source in shuffled blocks, pass after pass.

Shuffling within blocks needs no buffer whose content would have to be saved: a block is known by
the record it starts at, and its order by its key. The stream's part is every n-th unit (a file, or
a range of a large one) when there are units enough for all streams, else every n-th record;
together the parts are the source. A document that is read in parts gives a block to each of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from bitnet.data.cursor import Cursor
from bitnet.data.dealing import Share, share_of
from bitnet.data.documents import Kind, judge
from bitnet.data.errors import DataError
from bitnet.data.keyed import keyed_order
from bitnet.data.records import Record, Selection, Unit
from bitnet.data.sources import Source
from bitnet.data.tape import Tapes
from bitnet.data.texts import Texts

log = logging.getLogger(__name__)

_WARNINGS = 3


@dataclass(frozen=True, slots=True)
class Partition:
    """Stream number `stream` of `streams`, and the keys and rules by which it reads."""

    stream: int
    streams: int
    seed: int
    block_bytes: int
    held_out_fraction: float
    skip_broken: bool
    bad_records_limit: int | None = None
    max_epochs: int | None = None


@dataclass(slots=True)
class Block:
    """Documents shuffled together.

    Attributes:
        epoch, unit, record, byte, part: where it starts (see `Cursor`).
        texts: training documents in shuffled order, with their origins.
        unfinished: the only text is a part of a document, and the next block goes on with it.
        empty, broken, held_out: records of the block that do not train, by reason.
        begun, ended: per mille of the epoch's stored bytes that had been read when the block began
            and when it was complete.
    """

    epoch: int
    unit: int = 0
    record: int = 0
    byte: int = 0
    part: int = 0
    texts: Texts = field(default_factory=Texts)
    unfinished: bool = False
    empty: int = 0
    broken: int = 0
    held_out: int = 0
    begun: int = 0
    ended: int = 0

    def done(self, documents: int) -> int:
        """Per mille of the epoch that is done after so many documents of the block."""
        return self.begun + (self.ended - self.begun) * documents // max(1, len(self.texts))

    def add_counts(self, other: Block) -> None:
        """Count the records that `other` left out as left out here."""
        self.empty += other.empty
        self.broken += other.broken
        self.held_out += other.held_out


class BlockReader:
    """Reader of one stream's part of one source, endless unless its passes are limited."""

    def __init__(self, source: Source, partition: Partition, tapes: Tapes | None = None) -> None:
        """Read `source` by the rules of `partition`; `tapes` are shared with other streams."""
        self.source = source
        self._tapes = tapes or Tapes([partition.stream])
        self._part = partition
        self._warned = 0
        self._share: Share | None = None
        self._long_kind = Kind.EMPTY

    @property
    def share(self) -> Share:
        """The units of this stream; found when first asked for, since sizes may be far away."""
        if self._share is None:
            part = self._part
            self._share = share_of(self.source, part.stream, part.streams, part.block_bytes)
        return self._share

    def blocks(self, start: Cursor) -> Iterator[Block]:
        """Yield block after block, starting with the block that `start` is in.

        A block without a training document isn't yielded; the next one counts its records.

        Raises:
            DataError: a record is unusable and the policy is to stop, or the stream's part of the
                source has no document to train on.
        """
        first = _block_at(start)
        carried = Block(0)
        while self._part.max_epochs is None or first.epoch < self._part.max_epochs:
            found = False
            for block in self._epoch(first):
                block.add_counts(carried)
                carried = block
                if block.texts:
                    found, carried = True, Block(0)
                    yield block
            if not found and (first.unit, first.record) == (0, 0):
                self._refuse_empty_part()
            first = Block(first.epoch + 1)

    def _epoch(self, block: Block) -> Iterator[Block]:
        """Blocks from an empty one to the end of its pass; only the last may be small."""
        size, first, order = 0, block, self._unit_order(block.epoch)
        for place in range(first.unit, len(order)):
            unit, before = self.share.units[order[place]], -1
            for entry in self._records(unit, first, place):
                if block.texts and self._begins_block(entry, before):
                    yield self._complete(block, order, place, entry.begins)
                    block, size = _block_before(entry, block, place), 0
                size += self._add(block, unit, entry)
                before = entry.number
                if size >= self._part.block_bytes or entry.part or not entry.last:
                    yield self._complete(block, order, place, entry.consumed)
                    block, size = _block_after(entry, block, place), 0
        yield self._complete(block, order, len(order), 0)

    def _begins_block(self, entry: Record, before: int) -> bool:
        """Whether a record may not go into a block with record number `before` of its unit.

        A long document comes by itself. Groups are dealt in turn, so a block that went on into the
        next one would make this stream run ahead of the others.
        """
        group = self.share.group
        next_group = group > 1 and before >= 0 and before // group != entry.number // group
        return next_group or not entry.last

    def _records(self, unit: Unit, first: Block, place: int) -> Iterator[Record]:
        """Records of the unit at `place`, from the start of the block `first` on if it is there."""
        at, share = first if place == first.unit else Block(0), self.share
        # Shifted by the file, so that files of one record each go to different streams.
        remainder = (self._part.stream - unit.file) % share.modulus
        selection = Selection(at.record, share.modulus, remainder, at.byte, share.group)
        if share.modulus > 1 and self.source.shares(unit):
            entries = self._tapes.records(self.source, unit, first.epoch, selection)
        else:
            entries = self.source.read(unit, selection)
        for entry in entries:
            if entry.number == at.record and entry.part < at.part:
                self._kind_of(entry)  # the first part says what the whole document is
                continue
            yield entry

    def _unit_order(self, epoch: int) -> list[int]:
        part = self._part
        stream = part.stream if self.share.modulus == 1 else -1  # who share files go the same way
        key = ("units", part.seed, self.source.name, stream, epoch)
        return [int(place) for place in keyed_order(len(self.share.units), *key)]

    def _kind_of(self, record: Record) -> tuple[Kind, int, str]:
        """Kind, size and problem; parts of a document are of one kind unless they are broken."""
        kind, size, problem = judge(record, self._part.held_out_fraction)
        if not record.part:
            self._long_kind = kind
        elif kind is not Kind.BROKEN:
            kind = self._long_kind
        return kind, size, problem

    def _add(self, block: Block, unit: Unit, record: Record) -> int:
        """Put one record where it belongs; returns the bytes of text added to the block."""
        kind, size, problem = self._kind_of(record)
        if kind is Kind.TRAIN and record.text is not None:
            block.texts.add(record.text, unit, record.number)
            block.unfinished = not record.last
            return size
        if kind is Kind.BROKEN:
            self._broken(self.source.place(unit, record.number), problem)
            if record.part and self._long_kind is Kind.TRAIN:
                # What came of the document so far must still be ended.
                block.texts.add("", unit, record.number)
        block.broken += kind is Kind.BROKEN
        block.empty += kind is Kind.EMPTY and record.last
        block.held_out += kind is Kind.HELD_OUT and record.last
        return 0

    def _broken(self, place: str, problem: str) -> None:
        part = self._part
        if not part.skip_broken:
            raise DataError(f"{place}: {problem}; stream.on_bad_record=skip counts and skips it")
        self._warned += 1
        if part.bad_records_limit is not None and self._warned > part.bad_records_limit:
            raise DataError(
                f"{place}: {problem}; that is one unusable record of '{self.source.name}' more "
                f"than stream.bad_records_limit={part.bad_records_limit}"
            )
        if self._warned <= _WARNINGS:
            last = "; more of this source are counted in silence" * (self._warned == _WARNINGS)
            log.warning("%s: skipped: %s%s", place, problem, last)

    def _complete(self, block: Block, order: list[int], place: int, consumed: int) -> Block:
        part = self._part
        key = ("documents", part.seed, self.source.name, part.stream)
        spot = (block.epoch, block.unit, block.record, block.part)
        block.texts.arrange(keyed_order(len(block.texts), *key, *spot).tolist())
        block.ended = self.share.per_mille(order, place, consumed)
        return block

    def _refuse_empty_part(self) -> None:
        part = self._part
        raise DataError(
            f"source '{self.source.name}' has no training document for stream {part.stream} of "
            f"{part.streams}; lower stream.streams (1 always reads everything), or give the source "
            "more documents"
        )


def _block_at(at: Cursor) -> Block:
    return Block(at.epoch, at.unit, at.record, at.byte, at.part, begun=at.begun)


def _block_before(entry: Record, last: Block, place: int) -> Block:
    """An empty block that begins with the record `entry`."""
    begins = entry.begins if entry.plain else 0
    return Block(last.epoch, place, entry.number, begins, entry.part, begun=last.ended)


def _block_after(entry: Record, last: Block, place: int) -> Block:
    """An empty block that begins behind the record, or the part of one, `entry`."""
    if not entry.last:
        begins = entry.begins if entry.plain else 0
        return Block(last.epoch, place, entry.number, begins, entry.part + 1, begun=last.ended)
    begins = entry.consumed if entry.plain else 0
    return Block(last.epoch, place, entry.number + 1, begins, begun=last.ended)
