"""Looks up samples of a streamed run by reading again what led to them.

A prepared set knows every sample by its number. A stream does not: where a sample begins depends on
the tokens of all documents before it. So the streams concerned are run again from the nearest saved
position, without training; the result is the very samples of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitnet.data.cursor import Cursor, SourceCursors
from bitnet.data.feed import FeedPlan
from bitnet.data.packing import Packer, Span
from bitnet.data.prepared.provenance import DocumentAt, SampleAt
from bitnet.data.tape import Tapes


class Replay:
    """The samples of a streamed run, from a saved position on."""

    def __init__(self, plan: FeedPlan, position: Mapping[str, Any] | None) -> None:
        """Stand at `position` (see `StreamedMixture.position`), or at the beginning."""
        self._plan = replace(plan, rank=0, world=1)
        self.first_batch = 0
        self._start: dict[int, SourceCursors] = {}
        if position is not None:
            names = [source.name for source in plan.sources]
            self.first_batch = position["trained_batches"] * position["world_size"]
            self._start = {
                int(stream): {names.index(n): Cursor.from_dict(at) for n, at in cursors.items()}
                for stream, cursors in position["cursors"].items()
            }

    def samples(self, first: int, count: int) -> list[SampleAt]:
        """Samples `first … first + count - 1` of the run.

        Raises:
            DataError: the data cannot be read.
        """
        size = self._plan.micro_batch
        batches = range(first // size, (first + count - 1) // size + 1)
        found = {s.number: s for batch in batches for s in self._batch(batch)}
        return [found[number] for number in range(first, first + count)]

    def _batch(self, wanted: int) -> list[SampleAt]:
        """All samples of one global batch: its stream is run up to there."""
        plan, streams = self._plan, self._plan.stream.streams
        packers: dict[int, Packer] = {}
        tapes = Tapes([wanted % streams])
        stream = wanted % streams
        start = self.first_batch + (stream - self.first_batch) % streams
        found: list[SampleAt] = []
        for batch in range(start, wanted + 1, streams):
            first = batch * plan.micro_batch
            sources, _ = plan.order.draws(first, plan.micro_batch)
            for place, source in enumerate(sources.tolist()):
                if source not in packers:
                    packers[source] = plan.packer(stream, source, self._start, tapes)
                tokens = packers[source].sample(plan.sequence_length + 1)
                if batch == wanted:
                    found.append(self._sample(first + place, source, packers[source], tokens))
        return found

    def _sample(
        self, number: int, source: int, packer: Packer, tokens: NDArray[np.int32]
    ) -> SampleAt:
        name = self._plan.sources[source].name
        documents = self._documents(source, packer.spans)
        return SampleAt(number, name, packer.cursor.epoch, None, tokens, tuple(documents))

    def _documents(self, source: int, spans: Sequence[Span]) -> list[DocumentAt]:
        files, done, found = self._plan.sources[source].files, 0, []
        for span in spans:
            name, end = files[span.unit.file].name, done + span.count
            found.append(DocumentAt(name, span.unit.start, span.record, done, end, None))
            done = end
        return found
