"""From packed streams to batches: which stream and which samples make batch number g.

The rule that makes the feed independent of hardware: global batch g belongs to logical stream
g mod streams and holds the samples g·B … g·B+B-1. Ranks and workers only divide the batches, so the
streams they touch never meet as long as world size times workers divides the number of streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bitnet.data.ahead import numbers_ahead
from bitnet.data.blocks import BlockReader, Partition
from bitnet.data.cursor import SourceCursors
from bitnet.data.errors import DataError
from bitnet.data.packing import Packer
from bitnet.data.sampler import MixtureOrder
from bitnet.data.sources import Source
from bitnet.data.specs import StreamSpec
from bitnet.data.tape import Tapes
from bitnet.data.tokenizer import Tokenizer

StreamCursors = dict[int, SourceCursors]
"""Cursors by stream, then by source index."""


@dataclass(frozen=True)
class FeedPlan:
    """Everything that fixes the sequence of batches of one rank.

    Attributes:
        sources: sources in the order of their index.
        order: source of each sample; its seed is the key of all that is shuffled.
        tokenizer: text to ids.
        sequence_length: predicted tokens of a sample, T.
        micro_batch: samples of a batch, B.
        stream: number of streams, shuffling, policy for bad records.
        held_out_fraction: share of documents that never train.
        max_epochs: most passes over a source, by its name.
        rank: this process among the data-parallel processes.
        world: how many there are.
    """

    sources: tuple[Source, ...]
    order: MixtureOrder
    tokenizer: Tokenizer
    sequence_length: int
    micro_batch: int
    stream: StreamSpec
    held_out_fraction: float
    max_epochs: Mapping[str, int]
    rank: int = 0
    world: int = 1

    def check_division(self) -> None:
        """Refuse a number of streams that the readers cannot share.

        Raises:
            DataError: world size times workers does not divide the streams.
        """
        workers = max(self.stream.workers, 1)
        readers = self.world * workers
        if self.stream.streams % readers:
            higher = -(-self.stream.streams // readers) * readers
            raise DataError(
                f"stream.streams: {self.stream.streams} is not a multiple of {readers} (world size "
                f"{self.world} times {workers} workers); use {higher}, or other workers"
            )

    def packer(
        self, stream: int, source: int, cursors: Mapping[int, SourceCursors], tapes: Tapes
    ) -> Packer:
        """The samples of one source in one stream, from its cursor on."""
        part = Partition(
            stream=stream,
            streams=self.stream.streams,
            seed=self.order.seed,
            block_bytes=self.stream.block_bytes,
            held_out_fraction=self.held_out_fraction,
            skip_broken=self.stream.on_bad_record == "skip",
            bad_records_limit=self.stream.bad_records_limit,
            max_epochs=self.max_epochs.get(self.sources[source].name),
        )
        reader = BlockReader(self.sources[source], part, tapes)
        return Packer(reader, self.tokenizer, cursors.get(stream, {}).get(source))


@dataclass(frozen=True, slots=True)
class FedBatch:
    """One batch on its way to the training loop.

    Attributes:
        number: batch number of this rank, counted from the start of training.
        stream: logical stream it came from.
        tokens: `[B, T+1]` int32.
        source: `[B]` uint8.
        cursors: new cursors of the sources that were drawn from.
    """

    number: int
    stream: int
    tokens: Tensor
    source: Tensor
    cursors: SourceCursors

    def pin_memory(self) -> FedBatch:
        """The same batch in page-locked memory; called by the DataLoader."""
        tokens, source = self.tokens.pin_memory(), self.source.pin_memory()
        return FedBatch(self.number, self.stream, tokens, source, self.cursors)


class MixtureFeed:
    """Batches `first`, `first + step`, … of one rank."""

    def __init__(
        self, plan: FeedPlan, first: int, step: int, cursors: Mapping[int, SourceCursors]
    ) -> None:
        """Go on from `cursors`; a stream without cursors starts at its beginning."""
        self._plan = plan
        self._first = first
        self._step = step
        self._start = cursors
        self._packers: dict[tuple[int, int], Packer] = {}
        self._tapes = Tapes(self._streams())

    def __iter__(self) -> Iterator[FedBatch]:
        """Yield batches for ever; each stream's come in order."""
        plan = self._plan
        numbers = numbers_ahead(
            count(self._first, self._step),
            lambda number: self._drawn(number)[1],
            plan.sequence_length + 1,
            plan.tokenizer,
        )
        with closing(numbers):
            for number in numbers:
                yield self._batch(number)

    def _drawn(self, number: int) -> tuple[NDArray[np.uint8], list[Packer]]:
        """Source and packer of each sample of batch `number` of this rank."""
        plan = self._plan
        globally = number * plan.world + plan.rank
        source, _ = plan.order.draws(globally * plan.micro_batch, plan.micro_batch)
        stream = globally % plan.stream.streams
        return source, [self._packer(stream, int(index)) for index in source]

    def _batch(self, number: int) -> FedBatch:
        plan = self._plan
        source, packers = self._drawn(number)
        samples = [packer.sample(plan.sequence_length + 1) for packer in packers]
        cursors = {int(i): packer.cursor for i, packer in zip(source, packers, strict=True)}
        tokens = torch.from_numpy(np.stack(samples))
        stream = (number * plan.world + plan.rank) % plan.stream.streams
        return FedBatch(number, stream, tokens, torch.from_numpy(source), cursors)

    def _streams(self) -> set[int]:
        """The streams whose batches come from here."""
        plan, streams = self._plan, self._plan.stream.streams
        numbers = range(self._first, self._first + self._step * streams, self._step)
        return {(number * plan.world + plan.rank) % streams for number in numbers}

    def _packer(self, stream: int, source: int) -> Packer:
        key = (stream, source)
        if key not in self._packers:
            self._packers[key] = self._plan.packer(stream, source, self._start, self._tapes)
        return self._packers[key]
