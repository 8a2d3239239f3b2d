"""Shuffles a range of any size without a table: the place of one element costs a few operations.

A Feistel network of keyed rounds is a bijection of the numbers of so many bits, whatever its rounds
compute. Numbers that it leads out of the range are led on until they come back into it (they must,
because a bijection has no dead ends), which makes it a bijection of the range. Everything is 64-bit
integer arithmetic that wraps, so the order is the same on every machine for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS = 6

U64 = NDArray[np.uint64]

# Constants of the finaliser of SplitMix64 (Steele, Lea and Flood, 2014; variant 13 of Stafford).
_STEPS = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT = np.uint64(31)


@dataclass(frozen=True)
class Ranges:
    """Ranges `[0, size)` to be shuffled, each cut into the low and high bits of its numbers.

    Attributes:
        size: elements of each range, `[ranges]`.
        low_bits: how many bits the lower half of a number has.
        low_mask, high_mask: all bits of either half set.
    """

    size: U64
    low_bits: U64
    low_mask: U64
    high_mask: U64

    @classmethod
    def of(cls, sizes: Sequence[int]) -> Ranges:
        """Ranges of these sizes, each at least 1 and less than 2^62."""
        bits = [max(1, (size - 1).bit_length()) for size in sizes]
        low = [(count + 1) // 2 for count in bits]
        high = [count - lower for count, lower in zip(bits, low, strict=True)]
        return cls(
            np.array(sizes, dtype=np.uint64),
            np.array(low, dtype=np.uint64),
            np.array([(1 << count) - 1 for count in low], dtype=np.uint64),
            np.array([(1 << count) - 1 for count in high], dtype=np.uint64),
        )

    def permute(self, which: NDArray[np.intp], places: U64, keys: U64) -> U64:
        """Where the elements at `places` of the shuffled ranges come from.

        Args:
            which: the range of each element, `[n]`.
            places: place within its range, `[n]`.
            keys: keys of the rounds for each element, `[ROUNDS, n]`.

        Returns:
            For equal ranges and keys, a bijection of the places, `[n]`.
        """
        own = Ranges(
            self.size[which], self.low_bits[which], self.low_mask[which], self.high_mask[which]
        )
        found = own._pass(places, keys)
        outside = np.flatnonzero(found >= own.size)
        while outside.size:
            part = Ranges(
                own.size[outside],
                own.low_bits[outside],
                own.low_mask[outside],
                own.high_mask[outside],
            )
            found[outside] = part._pass(found[outside], keys[:, outside])
            outside = outside[found[outside] >= part.size]
        return found

    def _pass(self, places: U64, keys: U64) -> U64:
        """Once through the network: here every element has its own row of the attributes."""
        low, high = places & self.low_mask, places >> self.low_bits
        for number in range(0, ROUNDS, 2):
            high ^= _mixed(low + keys[number]) & self.high_mask
            low ^= _mixed(high + keys[number + 1]) & self.low_mask
        return (high << self.low_bits) | low


def _mixed(values: U64) -> U64:
    """Scramble `values` in place."""
    for shift, factor in _STEPS:
        values ^= values >> shift
        values *= factor
    values ^= values >> _LAST_SHIFT
    return values
