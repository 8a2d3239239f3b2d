"""Which tokens sample number *n* of a source is made of: arithmetic on a few numbers.

In each pass over a source of N tokens, the tokens are a ring that is cut into N // L windows of L
tokens at a keyed place, and the windows are visited in a keyed order. So a pass gives every token
once (but for the N mod L that make no whole window), nothing overlaps or is padded, and another
pass has other windows in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitnet.data.keyed import keyed_bits
from bitnet.data.prepared.permutation import ROUNDS, Ranges

I64 = NDArray[np.int64]


class Cuts(NamedTuple):
    """Pass over its source, window in that pass, and first token of each sample, `[n]` each."""

    epoch: I64
    window: I64
    start: I64


class Windows:
    """The windows of several sources."""

    def __init__(self, seed: int, names: Sequence[str], tokens: Sequence[int], length: int) -> None:
        """Cut sources of so many tokens into windows of `length` tokens.

        A source with less than one window may not be asked for.
        """
        self._seed = seed
        self._names = tuple(names)
        self._tokens = np.array(tokens, dtype=np.int64)
        self._length = length
        self.per_epoch: I64 = np.maximum(self._tokens // length, 1)
        """Windows of each source in a pass."""
        self._ranges = Ranges.of(self.per_epoch.tolist())

    def cut(self, sources: NDArray[np.uint8], ordinals: I64) -> Cuts:
        """Find samples.

        Args:
            sources: index of the source of each sample, `[n]`.
            ordinals: how many samples of that source came before it, `[n]`.
        """
        which = sources.astype(np.intp)
        epoch, place = np.divmod(ordinals, self.per_epoch[which])
        keys = self._keys(which, epoch)
        window = self._ranges.permute(which, place.astype(np.uint64), keys).astype(np.int64)
        tokens = self._tokens[which]
        shift = (keys[ROUNDS] % tokens.astype(np.uint64)).astype(np.int64)
        return Cuts(epoch, window, (shift + window * self._length) % tokens)

    def _keys(self, which: NDArray[np.intp], epoch: I64) -> NDArray[np.uint64]:
        """Keys of the order, and one for the place of the cut, for each sample `[ROUNDS+1, n]`."""
        pairs = epoch * len(self._names) + which
        distinct, place = np.unique(pairs, return_inverse=True)
        found = [divmod(pair, len(self._names)) for pair in distinct.tolist()]
        table = [_epoch_keys(self._seed, self._names[index], at) for at, index in found]
        return np.ascontiguousarray(np.stack(table, axis=1)[:, place])


@lru_cache(maxsize=4096)
def _epoch_keys(seed: int, name: str, epoch: int) -> NDArray[np.uint64]:
    return keyed_bits(ROUNDS + 1, "windows", seed, name, epoch)
