"""The settings of reading over a network as a plain dataclass, so that `config/` can use it.

The defaults suit one training job on a good line: a server may be away for ten minutes before the
run gives up, and what was read lately is kept on disk for the next start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MEGABYTE = 1_000_000
_LARGEST_PAGE = MEGABYTE


@dataclass
class NetworkSpec:
    """How remote files are read, and how long a bad network is borne.

    Attributes:
        attempts: most failed tries in a row at one place of a file before giving up.
        patience_seconds: longest time that one place may stay unreachable before giving up.
        timeout_seconds: a connection that is silent for so long has failed.
        first_wait: seconds to wait after the first failure; it doubles with each further one.
        longest_wait: most seconds between two tries (a server that asks for more is obeyed).
        chunk_megabytes: most that one request asks for; reading begins with smaller ones.
        prefetch_chunks: requests read ahead of the reader, in a thread; 0 reads without one.
        memory_megabytes: most that all files of one process together hold read ahead.
        cache_dir: folder for what was read; null is the user's cache folder.
        cache_gigabytes: most that the folder may hold; 0 keeps nothing.
    """

    attempts: int = 30
    patience_seconds: float = 600.0
    timeout_seconds: float = 30.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    chunk_megabytes: float = 8.0
    prefetch_chunks: int = 2
    memory_megabytes: float = 128.0
    cache_dir: str | None = None
    cache_gigabytes: float = 10.0

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = []
        if self.attempts < 1:
            found.append(f"attempts: {self.attempts} is not a positive number; 1 never tries again")
        for name in ("timeout_seconds", "first_wait", "longest_wait", "chunk_megabytes"):
            value = getattr(self, name)
            if not (0 < value < math.inf):
                found.append(f"{name}: {value:g} is not a positive number")
        for name in ("patience_seconds", "memory_megabytes", "cache_gigabytes"):
            value = getattr(self, name)
            if not (0 <= value < math.inf):
                found.append(f"{name}: {value:g} is not 0 or a positive number")
        if self.prefetch_chunks < 0:
            found.append(f"prefetch_chunks: {self.prefetch_chunks} is negative; use 0 for none")
        if 0 < self.longest_wait < self.first_wait:
            found.append(
                f"longest_wait: {self.longest_wait:g} is shorter than first_wait "
                f"{self.first_wait:g}"
            )
        return found

    @property
    def page_bytes(self) -> int:
        """Bytes of one page, the unit in which a file is kept in memory and on disk."""
        return max(1, min(_LARGEST_PAGE, int(self.chunk_megabytes * MEGABYTE)))

    @property
    def pages_per_chunk(self) -> int:
        """Most pages that one request asks for."""
        return max(1, int(self.chunk_megabytes * MEGABYTE) // self.page_bytes)
