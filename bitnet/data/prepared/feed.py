"""Batches of prepared tokens: any sample of the run, at once, from its number alone.

The numbers of a block of samples are worked out together, which makes them nearly free; what is
left for each sample is one copy out of a memory map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.prepared.maps import TokenRing
from bitnet.data.prepared.provenance import SampleAt, documents_in
from bitnet.data.prepared.shards import PreparedSet
from bitnet.data.prepared.windows import Cuts, Windows
from bitnet.data.sampler import MixtureOrder

BLOCK = 1024
"""Samples whose places are worked out together."""

_BLOCKS_KEPT = 4


@dataclass(frozen=True, slots=True)
class _Block:
    """Samples `BLOCK * number …`: index of each one's source, and where it is cut."""

    sources: NDArray[np.uint8]
    cuts: Cuts
    shards: list[int]
    offsets: list[int]
    over: int


class PreparedFeed:
    """The samples of a run over prepared sources. It keeps caches, and no position."""

    def __init__(
        self,
        prepared: PreparedSet,
        names: Sequence[str],
        order: MixtureOrder,
        sequence_length: int,
        max_epochs: Mapping[str, int] | None = None,
    ) -> None:
        """Describe the run.

        Args:
            prepared: the opened folder.
            names: sources in the order of their index.
            order: which sample comes from which source.
            sequence_length: predicted tokens of a sample, T; a sample holds L = T+1.
            max_epochs: most passes over a source; without an entry it is read for ever.

        Raises:
            DataError: a name is unknown, or a source that is drawn from has less than one sample.
        """
        self._prepared = prepared
        self._names = list(names)
        self._order = order
        self._length = sequence_length + 1
        tokens = [prepared.source(name).tokens for name in names]
        self._refuse_short(tokens)
        self._windows = Windows(order.seed, names, tokens, self._length)
        self._ring = TokenRing(prepared, names)
        self._limits = self._limits_of(max_epochs or {})
        self._blocks: dict[int, _Block] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without what was worked out: another process does that for itself."""
        return {**self.__dict__, "_blocks": {}}

    def batch(self, first: int, count: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Samples `first … first + count - 1` of the run.

        Returns:
            Their tokens, `[count, T+1]`, and the index of each one's source, `[count]`.

        Raises:
            DataError: a source has been read as often as it may be.
        """
        tokens = np.empty((count, self._length), dtype=np.int32)
        sources = np.empty(count, dtype=np.uint8)
        row = 0
        while row < count:
            number, place = divmod(first + row, BLOCK)
            end = min(place + count - row, BLOCK)
            block = self._block(number)
            if end > block.over:
                self._refuse_epoch(block, max(place, block.over))
            cut = slice(place, end)
            rows = slice(row, row + end - place)
            self._ring.copy(block.shards[cut], block.offsets[cut], tokens[rows])
            sources[rows] = block.sources[cut]
            row = rows.stop
        return tokens, sources

    def sample(self, number: int) -> SampleAt:
        """One sample of the run, and the documents that it is made of.

        Raises:
            DataError: as in `batch`.
        """
        tokens, sources = self.batch(number, 1)
        block, place = self._block(number // BLOCK), number % BLOCK
        name = self._names[int(sources[0])]
        start = int(block.cuts.start[place])
        return SampleAt(
            number=number,
            source=name,
            epoch=int(block.cuts.epoch[place]),
            window=int(block.cuts.window[place]),
            tokens=tokens[0],
            documents=documents_in(self._prepared, name, start, self._length),
        )

    def _block(self, number: int) -> _Block:
        if number not in self._blocks:
            while len(self._blocks) >= _BLOCKS_KEPT:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[number] = self._work_out(number)
        return self._blocks[number]

    def _work_out(self, number: int) -> _Block:
        sources, ordinals = self._order.draws(number * BLOCK, BLOCK)
        cuts = self._windows.cut(sources, ordinals)
        shards, offsets = self._ring.find(sources, cuts.start)
        over = np.flatnonzero(cuts.epoch >= self._limits[sources])
        first_over = int(over[0]) if over.size else BLOCK
        return _Block(sources, cuts, shards.tolist(), offsets.tolist(), first_over)

    def _refuse_short(self, tokens: Sequence[int]) -> None:
        drawn = np.any([stage.weights for stage in self._order.stages], axis=0)
        for name, count, used in zip(self._names, tokens, drawn.tolist(), strict=True):
            if used and count < self._length:
                raise DataError(
                    f"data.path: source '{name}' holds {count} training tokens, less than one "
                    f"sample of {self._length}; shorten batch.sequence_length, or prepare more text"
                )

    def _limits_of(self, max_epochs: Mapping[str, int]) -> NDArray[np.int64]:
        for name in max_epochs:
            if name not in self._names:
                raise DataError(f"mix.max_epochs: {describe_unknown(name, self._names)}")
        most = np.iinfo(np.int64).max
        return np.array([max_epochs.get(name, most) for name in self._names], dtype=np.int64)

    def _refuse_epoch(self, block: _Block, place: int) -> None:
        name = self._names[int(block.sources[place])]
        passes = int(self._limits[block.sources[place]])
        raise DataError(
            f"mix.max_epochs.{name}: source '{name}' has been read {passes} time(s), as often as "
            "it may be; raise it, leave it out to repeat the source for ever, or prepare more text"
        )
