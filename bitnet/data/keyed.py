"""Randomness without state: numbers that are a pure function of a key.

Everything random in the feed (source of a sample, order of files, order of documents) is drawn
from here, so a position can be restored by naming it. Only the raw bits of Philox are used: numpy
guarantees that stream for ever, while the results of its higher-level methods may change.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Key = int | str


def keyed_bits(count: int, *key: Key) -> NDArray[np.uint64]:
    """`count` uniform 64-bit integers that depend on `key` alone."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=16).digest()
    bits = np.random.Philox(key=int.from_bytes(digest, "little")).random_raw(count)
    return np.asarray(bits, dtype=np.uint64)


def keyed_order(count: int, *key: Key) -> NDArray[np.int64]:
    """A uniform permutation of `range(count)` that depends on `key` alone."""
    return np.argsort(keyed_bits(count, *key), kind="stable")
