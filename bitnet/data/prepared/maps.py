"""The training tokens of several sources as rings over memory-mapped shards.

A corpus may have thousands of shards, and each map holds a file open, so the maps are opened when
they are needed and the oldest are closed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitnet.data.errors import DataError
from bitnet.data.prepared.layout import TOKENS, TRAIN, mapped, part_name
from bitnet.data.prepared.shards import PreparedSet

_MOST_MAPS = 512

I64 = NDArray[np.int64]


class TokenRing:
    """Tokens of sources by place, each source a ring: behind its last token comes its first."""

    def __init__(self, prepared: PreparedSet, names: Sequence[str], maps: int = _MOST_MAPS) -> None:
        """Describe the rings of the sources `names`; `maps` files at most are open at once."""
        self._kind = prepared.token_format
        self._most = maps
        self._paths: list[Path] = []
        self._following: list[int] = []
        sizes, heads = [0], []
        for name in names:
            # A shard without training tokens has no place in the ring.
            shards = [shard for shard in prepared.source(name).shards if shard.train.tokens]
            head = len(self._paths)
            heads.append(head)
            self._following += [*range(head + 1, head + len(shards)), *([head] if shards else [])]
            units = (part_name(name, shard.unit, TRAIN, TOKENS) for shard in shards)
            self._paths += [prepared.folder / unit for unit in units]
            sizes += [shard.train.tokens for shard in shards]
        self._borders: I64 = np.cumsum(np.array(sizes, dtype=np.int64))
        self._bases: I64 = self._borders[np.array(heads, dtype=np.intp)]
        self._open: dict[int, NDArray[Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without the maps, which belong to this process."""
        return {**self.__dict__, "_open": {}}

    def find(self, sources: NDArray[np.uint8], starts: I64) -> tuple[I64, I64]:
        """Where tokens lie: shard, and place in it, of token `starts` of each source, `[n]`."""
        places = self._bases[sources] + starts
        shards = np.searchsorted(self._borders, places, side="right") - 1
        return shards, places - self._borders[shards]

    def copy(self, shards: Sequence[int], offsets: Sequence[int], rows: NDArray[np.int32]) -> None:
        """Fill each row of `rows`, `[n, L]`, with the tokens that begin at its shard and offset."""
        length, maps = rows.shape[1], self._open
        for row, shard, offset in zip(rows, shards, offsets, strict=True):
            tokens = maps.get(shard)
            if tokens is None:
                tokens = self._map(shard)
            part = tokens[offset : offset + length]
            if len(part) == length:
                row[:] = part
            else:
                self._gather(shard, offset, row)

    def _gather(self, shard: int, offset: int, row: NDArray[np.int32]) -> None:
        """Fill a row that runs over the end of its shard, perhaps more than once."""
        done = 0
        while done < len(row):
            part = self._map(shard)[offset : offset + len(row) - done]
            row[done : done + len(part)] = part
            done += len(part)
            shard, offset = self._following[shard], 0

    def _map(self, shard: int) -> NDArray[Any]:
        if shard not in self._open:
            while len(self._open) >= self._most:
                del self._open[next(iter(self._open))]
            try:
                self._open[shard] = mapped(self._paths[shard], self._kind)
            except OSError as error:
                raise DataError(f"{self._paths[shard]}: cannot be opened ({error})") from error
        return self._open[shard]
