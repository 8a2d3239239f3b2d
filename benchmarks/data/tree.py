"""Memory of a process and all its descendants, sampled from outside."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from time import monotonic

_PAGE = os.sysconf("SC_PAGE_SIZE")


def descendants(pid: int) -> list[int]:
    """`pid` and every process below it that still lives."""
    found = [pid]
    for each in found:
        try:
            for thread in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
        except OSError:
            continue
    return found


def resident_bytes(pid: int) -> int:
    """Resident memory of the tree; a page that two processes share counts in both."""
    total = 0
    for each in descendants(pid):
        try:
            total += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * _PAGE
        except (OSError, IndexError):
            continue
    return total


class Watch:
    """Samples the resident memory of a tree until it is stopped."""

    def __init__(self, pid: int, every: float = 0.02) -> None:
        self.samples: list[tuple[float, int]] = []
        self._pid = pid
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def peak(self, until: float | None = None) -> int:
        """Largest sample, up to a time of the monotonic clock if one is given."""
        return max((size for at, size in self.samples if until is None or at <= until), default=0)

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            self.samples.append((monotonic(), resident_bytes(self._pid)))
