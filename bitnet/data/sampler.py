"""Which source sample number i comes from: a function of the seed and i, and of nothing else.

No state is kept, so ranks and workers agree without talking, a resumed run needs no random-number
state, and two ranks are never in lockstep. The shares are exact, not only likely: each block of
samples gives every source its share rounded down or up (systematic sampling, with roundings that
cancel out over the blocks), and a keyed permutation orders the block. How many samples a source has
given before any point of the run is therefore a short sum, which makes every sample of a prepared
set reachable at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bitnet.data.keyed import keyed_bits, keyed_order

SAMPLES_PER_BLOCK = 256
_BLOCKS_PER_GROUP = 16384
"""Counts are summed group by group, so that a far place is found after few sums."""

_GOLDEN_STEP = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: its multiples cover the circle as evenly as any can, so the
roundings of many blocks cancel out (Weyl; Knuth, The Art of Computer Programming 3, 6.4)."""

Sources = NDArray[np.uint8]
Ordinals = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WeightStage:
    """Weights that hold from a sample on.

    Attributes:
        first_sample: number of the first sample drawn by them.
        weights: share of each source; their sum need not be exactly 1.
    """

    first_sample: int
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MixtureOrder:
    """The order of sources of a whole run.

    Attributes:
        seed: key of the order.
        stages: weights by sample number; the first stage begins at sample 0.
    """

    seed: int
    stages: tuple[WeightStage, ...]

    def draws(self, first: int, count: int) -> tuple[Sources, Ordinals]:
        """Sources of the samples `first … first + count - 1`, and each one's place in its source.

        Returns:
            Index of the source, `[count]`, and how many earlier samples of the run came from it.
        """
        parts = list(self._parts(first, first + count))
        if not parts:
            return np.empty(0, np.uint8), np.empty(0, np.int64)
        sources, ordinals = zip(*parts, strict=True)
        return np.concatenate(sources), np.concatenate(ordinals)

    def counts(self, samples: int) -> Ordinals:
        """How many of the first `samples` samples each source gives, `[sources]`."""
        total = np.zeros(len(self.stages[0].weights), np.int64)
        for number in range(len(self.stages)):
            start, end = self._bounds(number)
            if samples > start:
                total += self._counts_in(number, min(samples, end) - start)
        return total

    def shares(self, samples: int) -> list[float]:
        """Share that each source should have among the first `samples` samples (0: at first)."""
        bounds = [self._bounds(number) for number in range(len(self.stages))]
        lengths = [max(0, min(samples, end) - start) for start, end in bounds]
        lengths[0] += not samples
        weights = np.array([stage.weights for stage in self.stages])
        weights /= weights.sum(axis=1, keepdims=True)
        return [float(share) for share in np.average(weights, axis=0, weights=lengths)]

    def _parts(self, first: int, end: int) -> list[tuple[Sources, Ordinals]]:
        """Draws of the samples from `first` to before `end`, a block at a time."""
        found = []
        for number in range(len(self.stages)):
            start, stop = self._bounds(number)
            at, last = max(first, start) - start, min(end, stop) - start
            before = self.counts(start) if at < last else np.empty(0, np.int64)
            while at < last:
                block, place = divmod(at, SAMPLES_PER_BLOCK)
                taken = min(last - at, SAMPLES_PER_BLOCK - place)
                sources, ranks = _block(self.seed, number, block, self.stages[number].weights)
                cut = slice(place, place + taken)
                earlier = before + _blocks_before(self.seed, number, block, self._weights(number))
                found.append((sources[cut], ranks[cut] + earlier[sources[cut]]))
                at += taken
        return found

    def _counts_in(self, number: int, samples: int) -> Ordinals:
        """Samples of each source among the first `samples` of a stage."""
        weights = self._weights(number)
        block, place = divmod(samples, SAMPLES_PER_BLOCK)
        whole = _blocks_before(self.seed, number, block, weights)
        if not place:
            return whole
        sources, _ = _block(self.seed, number, block, weights)
        return whole + np.bincount(sources[:place], minlength=len(weights))

    def _weights(self, number: int) -> tuple[float, ...]:
        return self.stages[number].weights

    def _bounds(self, number: int) -> tuple[int, int]:
        """First sample of a stage, and that of the next (no run comes to it after the last)."""
        following = self.stages[number + 1 :]
        end = following[0].first_sample if following else 1 << 62
        return self.stages[number].first_sample, end


def _edges(weights: tuple[float, ...]) -> NDArray[np.float64]:
    """Cumulative shares of a block in samples, from 0 to exactly the size of a block."""
    sums = np.cumsum(np.asarray((0.0, *weights), dtype=np.float64))
    return np.asarray(sums / sums[-1] * SAMPLES_PER_BLOCK)


def _quotas(shifts: NDArray[np.float64], weights: tuple[float, ...]) -> Ordinals:
    """Samples of each source in blocks with the keyed numbers `shifts`, `[blocks, sources]`."""
    borders = np.floor(_edges(weights)[None, :] + shifts[:, None]).astype(np.int64)
    return np.diff(borders, axis=1)


def _shifts(seed: int, stage: int, group: int) -> NDArray[np.float64]:
    """The numbers in [0, 1) that decide how the blocks of a group are rounded."""
    start = keyed_bits(1, "quota", seed, stage)
    first = np.uint64(group * _BLOCKS_PER_GROUP)
    steps = np.arange(_BLOCKS_PER_GROUP, dtype=np.uint64) + first
    mantissas: NDArray[np.uint64] = (start + steps * _GOLDEN_STEP) >> np.uint64(11)
    return np.asarray(mantissas.astype(np.float64) * 2.0**-53)


@lru_cache(maxsize=16)
def _group(seed: int, stage: int, group: int, weights: tuple[float, ...]) -> Ordinals:
    """Samples of each source before each block of a group and after the last, `[G+1, sources]`."""
    quotas = _quotas(_shifts(seed, stage, group), weights)
    return np.concatenate([np.zeros_like(quotas[:1]), np.cumsum(quotas, axis=0)])


@lru_cache(maxsize=1 << 16)
def _group_total(seed: int, stage: int, group: int, weights: tuple[float, ...]) -> Ordinals:
    return np.asarray(_group(seed, stage, group, weights)[-1])


@lru_cache(maxsize=64)
def _groups_before(seed: int, stage: int, group: int, weights: tuple[float, ...]) -> Ordinals:
    totals = [_group_total(seed, stage, each, weights) for each in range(group)]
    return np.sum(totals, axis=0, dtype=np.int64) if totals else np.zeros(len(weights), np.int64)


def _blocks_before(seed: int, stage: int, block: int, weights: tuple[float, ...]) -> Ordinals:
    """Samples of each source in the blocks before `block` of a stage, `[sources]`."""
    group, place = divmod(block, _BLOCKS_PER_GROUP)
    within = _group(seed, stage, group, weights)[place]
    return np.asarray(_groups_before(seed, stage, group, weights) + within)


@lru_cache(maxsize=64)
def _block(
    seed: int, stage: int, block: int, weights: tuple[float, ...]
) -> tuple[Sources, Ordinals]:
    """Source of each sample of a block, and its rank among the block's samples of that source."""
    group, inside = divmod(block, _BLOCKS_PER_GROUP)
    before = _group(seed, stage, group, weights)
    quota = before[inside + 1] - before[inside]
    sorted_sources = np.repeat(np.arange(len(weights), dtype=np.uint8), quota)
    sources = sorted_sources[keyed_order(SAMPLES_PER_BLOCK, "source-of-sample", seed, stage, block)]
    ranks = np.empty(SAMPLES_PER_BLOCK, np.int64)
    # A stable sort lists the samples source by source, each in its order: the rank is the place.
    starts = np.repeat(np.cumsum(quota) - quota, quota)
    ranks[np.argsort(sources, kind="stable")] = np.arange(SAMPLES_PER_BLOCK) - starts
    return sources, ranks
