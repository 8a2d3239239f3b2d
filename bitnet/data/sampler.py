"""Which source sample number i comes from: a function of the seed and i, and of nothing else.

No state is kept, so ranks and workers agree without talking, a resumed run needs no random-number
state, and two ranks are never in lockstep. Drawn in blocks because one keyed draw of a few thousand
numbers costs as little as a draw of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bitnet.data.keyed import keyed_uniform

SAMPLES_PER_BLOCK = 4096


@lru_cache(maxsize=8)
def _source_block(seed: int, block: int, weights: tuple[float, ...]) -> NDArray[np.uint8]:
    """Source index of each of the 4096 samples of one block."""
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    edges /= edges[-1]
    draws = keyed_uniform(SAMPLES_PER_BLOCK, "source-of-sample", seed, block)
    return np.searchsorted(edges, draws, side="right").astype(np.uint8)


def source_of(seed: int, index: int, weights: Sequence[float]) -> int:
    """Index into `weights` of the source that global sample `index` is drawn from."""
    block, place = divmod(index, SAMPLES_PER_BLOCK)
    return int(_source_block(seed, block, tuple(weights))[place])


def sources_of(seed: int, first: int, count: int, weights: Sequence[float]) -> NDArray[np.uint8]:
    """Sources of the samples `first .. first + count - 1`."""
    key = tuple(weights)
    blocks = range(first // SAMPLES_PER_BLOCK, (first + count - 1) // SAMPLES_PER_BLOCK + 1)
    drawn = np.concatenate([_source_block(seed, block, key) for block in blocks])
    start = first - blocks.start * SAMPLES_PER_BLOCK
    return drawn[start : start + count]
