"""Reads a stream's part of a source in shuffled blocks, pass after pass.

Shuffling within blocks needs no buffer whose content would have to be saved: a block is known by
the record it starts at, and its order by its key. The stream's part is every n-th file when there
are files enough for all streams, else every n-th record; together the parts are the source.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from bitnet.data.cursor import Cursor
from bitnet.data.documents import Kind, judge
from bitnet.data.errors import DataError
from bitnet.data.keyed import keyed_order
from bitnet.data.records import Record, Selection
from bitnet.data.sources import Source

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


@dataclass(slots=True)
class Block:
    """Documents shuffled together.

    Attributes:
        epoch, file, record: where it starts (see `Cursor`).
        texts: training documents in shuffled order.
        empty, broken, held_out: records of the block that do not train, by reason.
        begun, ended: per mille of the epoch's stored bytes that had been read when the block began
            and when it was complete.
    """

    epoch: int
    file: int
    record: int
    texts: list[str] = field(default_factory=list)
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
    """Endless reader of one stream's part of one source."""

    def __init__(self, source: Source, partition: Partition) -> None:
        """Read `source` by the rules of `partition`."""
        self._source = source
        self._part = partition
        self._warned = 0
        count, streams = len(source.files), partition.streams
        self._whole_files = count >= streams
        first = partition.stream if self._whole_files else 0
        self._files = range(first, count, streams if self._whole_files else 1)

    def blocks(self, start: Cursor) -> Iterator[Block]:
        """Yield block after block for ever, starting with the block that `start` is in.

        A block without a training document isn't yielded; the next one counts its records.

        Raises:
            DataError: a record is unusable and the policy is to stop, or the stream's part of the
                source has no document to train on.
        """
        first = Block(start.epoch, start.file, start.record, begun=start.begun)
        carried = Block(0, 0, 0)
        while True:
            found = False
            for block in self._epoch(first):
                block.add_counts(carried)
                carried = block
                if block.texts:
                    found, carried = True, Block(0, 0, 0)
                    yield block
            if not found and (first.file, first.record) == (0, 0):
                self._refuse_empty_part()
            first = Block(first.epoch + 1, 0, 0)

    def _epoch(self, block: Block) -> Iterator[Block]:
        """Blocks from an empty one to the end of its pass; only the last may be small."""
        epoch, size = block.epoch, 0
        order = self._file_order(epoch)
        start_file, start_record = block.file, block.record
        for place in range(start_file, len(order)):
            first = start_record if place == start_file else 0
            for entry in self._source.read(order[place], self._selection(order[place], first)):
                size += self._add(block, order[place], entry)
                if size >= self._part.block_bytes:
                    yield self._complete(block, order, place, entry.consumed)
                    block = Block(epoch, place, entry.number + 1, begun=block.ended)
                    size = 0
        yield self._complete(block, order, len(order), 0)

    def _file_order(self, epoch: int) -> list[int]:
        part = self._part
        key = ("files", part.seed, self._source.name, part.stream, epoch)
        return [self._files[place] for place in keyed_order(len(self._files), *key)]

    def _selection(self, file: int, first: int) -> Selection:
        if self._whole_files:
            return Selection(first)
        # Shifted by the file, so that files of one record each go to different streams.
        return Selection(first, self._part.streams, (self._part.stream - file) % self._part.streams)

    def _add(self, block: Block, file: int, record: Record) -> int:
        """Put one record where it belongs; returns the bytes of text added to the block."""
        kind, size, problem = judge(record, self._part.held_out_fraction)
        if kind is Kind.TRAIN and record.text is not None:
            block.texts.append(record.text)
            return size
        if kind is Kind.BROKEN:
            self._broken(self._source.place(file, record.number), problem)
        block.broken += kind is Kind.BROKEN
        block.empty += kind is Kind.EMPTY
        block.held_out += kind is Kind.HELD_OUT
        return 0

    def _broken(self, place: str, problem: str) -> None:
        if not self._part.skip_broken:
            raise DataError(f"{place}: {problem}; stream.on_bad_record=skip counts and skips it")
        self._warned += 1
        if self._warned <= _WARNINGS:
            last = "; more of this source are counted in silence" * (self._warned == _WARNINGS)
            log.warning("%s: skipped: %s%s", place, problem, last)

    def _complete(self, block: Block, order: list[int], place: int, consumed: int) -> Block:
        part = self._part
        key = ("documents", part.seed, self._source.name, part.stream)
        spot = (block.epoch, block.file, block.record)
        shuffled = keyed_order(len(block.texts), *key, *spot)
        block.texts = [block.texts[index] for index in shuffled]
        sizes = [self._source.files[file].size for file in order]
        read = sum(sizes[:place]) + consumed
        # Files of unknown size (on the web) leave the estimate at whole passes.
        block.ended = min(1000, 1000 * read // max(1, sum(sizes)))
        return block

    def _refuse_empty_part(self) -> None:
        part = self._part
        raise DataError(
            f"source '{self._source.name}' has no training document for stream {part.stream} of "
            f"{part.streams}; lower stream.streams (1 always reads everything), or give the source "
            "more documents"
        )
