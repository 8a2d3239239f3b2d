"""Remembers the cursors of recent batches, because loaders run ahead of training.

Workers and lightning fetch batches that have not been trained when a checkpoint is written. The
position to save is that of the last *trained* batch, so cursors are kept by batch number until they
are too old to be asked for.
"""

from __future__ import annotations

from collections import deque

from bitnet.data.cursor import SourceCursors
from bitnet.data.errors import DataError
from bitnet.data.feed import FedBatch, StreamCursors

CAPACITY = 4096
"""Batches that training may lag behind the loader; far more than one accumulation needs."""


class CursorLedger:
    """Cursors of one rank at any of its latest batches."""

    def __init__(self, first: int, cursors: StreamCursors, capacity: int = CAPACITY) -> None:
        """Begin before batch `first`, where the streams stand at `cursors`."""
        self._oldest = first
        self._newest = first
        self._settled: StreamCursors = {stream: dict(at) for stream, at in cursors.items()}
        self._recent: deque[tuple[int, SourceCursors]] = deque()
        self._capacity = capacity

    def record(self, batch: FedBatch) -> None:
        """Note the cursors of the next batch.

        Batches come in the order of their numbers, whatever the number of workers.
        """
        assert batch.number == self._newest, "batches must be recorded in order"
        self._newest += 1
        self._recent.append((batch.stream, batch.cursors))
        if len(self._recent) > self._capacity:
            _apply(self._settled, *self._recent.popleft())
            self._oldest += 1

    def rewind(self, batches: int) -> StreamCursors:
        """Forget what came after the first `batches` batches; returns the cursors there."""
        self._settled = self.at(batches)
        self._oldest = self._newest = batches
        self._recent.clear()
        return self.at(batches)

    def at(self, batches: int) -> StreamCursors:
        """Cursors after the first `batches` batches of this rank.

        Raises:
            DataError: that many were not delivered yet, or they are forgotten.
        """
        if not self._oldest <= batches <= self._newest:
            raise DataError(
                f"trained_batches: {batches} is outside of the batches {self._oldest} to "
                f"{self._newest} whose position is known"
            )
        found = {stream: dict(at) for stream, at in self._settled.items()}
        for (stream, cursors), _ in zip(self._recent, range(batches - self._oldest), strict=False):
            _apply(found, stream, cursors)
        return found


def _apply(cursors: StreamCursors, stream: int, changed: SourceCursors) -> None:
    cursors.setdefault(stream, {}).update(changed)
