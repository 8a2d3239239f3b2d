"""Settings with waits and pages small enough for tests."""

import random
from dataclasses import dataclass

from bitnet.data.remote import NetworkSpec


@dataclass
class SmallPages(NetworkSpec):
    """Pages of 4 kB, so that small files have many."""

    @property
    def page_bytes(self) -> int:
        return 4096


def quick(**changes: object) -> SmallPages:
    """Impatient settings without a cache; requests of at most four pages."""
    chosen: dict[str, object] = {
        "attempts": 50,
        "patience_seconds": 10.0,
        "timeout_seconds": 5.0,
        "first_wait": 0.001,
        "longest_wait": 0.004,
        "chunk_megabytes": 4 * 4096 / 1e6,
        "prefetch_chunks": 2,
        "cache_gigabytes": 0.0,
    }
    return SmallPages(**{**chosen, **changes})  # type: ignore[arg-type]


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not repeat, so that a piece in the wrong place is noticed."""
    return random.Random(seed).randbytes(size)
