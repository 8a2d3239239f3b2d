"""Tells how far the work on a shard is, a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

_REPORT_SECONDS = 0.2


class Step(NamedTuple):
    """What has been done since the last report: stored bytes, tokens, broken records, a fault."""

    stored: int = 0
    tokens: int = 0
    broken: int = 0
    fault: str = ""


Report = Callable[[Step], None]


class Meter:
    """Adds up what is done and reports it a few times a second."""

    def __init__(self, report: Report, start: int, size: int) -> None:
        """Begin a unit of `size` stored bytes from byte `start` on."""
        self._report = report
        self._read = self._reported = start
        self._end = start + size
        self._tokens = self._broken = 0
        self._fault = ""
        self._next = time.monotonic() + _REPORT_SECONDS

    def read(self, consumed: int) -> None:
        """The file has been read up to the stored byte `consumed`."""
        self._read = min(max(self._read, consumed), self._end)
        if time.monotonic() >= self._next:
            self.flush()

    def made(self, tokens: int) -> None:
        """So many more tokens."""
        self._tokens += tokens

    def broken(self, fault: str) -> None:
        """One more broken record."""
        self._broken += 1
        self._fault = fault or self._fault

    def finish(self) -> None:
        """The unit has been read to its end."""
        self._read = self._end
        self.flush()

    def flush(self) -> None:
        """Report now."""
        step = Step(self._read - self._reported, self._tokens, self._broken, self._fault)
        self._report(step)
        self._reported, self._tokens, self._broken = self._read, 0, 0
        self._next = time.monotonic() + _REPORT_SECONDS
