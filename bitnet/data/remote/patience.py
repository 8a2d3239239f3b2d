"""How long to wait after a failed request, and when to give up.

Patience is counted for one place of a file: every byte that arrives restores it, so a slow or
often broken line is borne for ever, and one that delivers nothing is not.
"""

from __future__ import annotations

import random
import time
from threading import Event

from bitnet.data.errors import DataError
from bitnet.data.remote.outages import outages
from bitnet.data.remote.spec import NetworkSpec
from bitnet.data.remote.transport import Cancelled, Trouble, shown

_FAILURES_BEFORE_WARNING = 2
_MOST_DOUBLINGS = 30
# Waits must not touch the random state that a run saves and restores.
_dice = random.SystemRandom()


class Patience:
    """Counts the failures of one file since its last progress."""

    def __init__(self, location: str, network: NetworkSpec) -> None:
        self._location = location
        self._network = network
        self._failures = 0
        self._since = 0.0

    def progress(self) -> None:
        """Something useful arrived."""
        if self._failures:
            self._failures = 0
            outages.over(self._location)

    def failed(self, trouble: Trouble, position: int, cancel: Event) -> None:
        """Wait for the next try.

        Args:
            trouble: what went wrong.
            position: place in the file where it did.
            cancel: ends the wait early when set.

        Raises:
            DataError: patience is at its end.
            Cancelled: `cancel` was set.
        """
        now = time.monotonic()
        self._since = self._since if self._failures else now
        self._failures += 1
        if self._failures == _FAILURES_BEFORE_WARNING:
            outages.begun(self._location, str(trouble))
        self._check(trouble, position, now - self._since)
        if cancel.wait(self._pause(trouble, self._network.patience_seconds - (now - self._since))):
            raise Cancelled

    def _check(self, trouble: Trouble, position: int, spent: float) -> None:
        network = self._network
        if self._failures < network.attempts and spent < network.patience_seconds:
            return
        attempts = f"{self._failures} attempt{'s' if self._failures > 1 else ''}"
        outages.given_up(self._location)
        raise DataError(
            f"{shown(self._location)}: stays unreachable after {attempts} over {spent:.0f} seconds "
            f"(last: {trouble}), {position} bytes into the file; start again when it is back, or "
            "raise data.network.patience_seconds and data.network.attempts"
        )

    def _pause(self, trouble: Trouble, left: float) -> float:
        """Seconds to wait: doubling, jittered, at least what the server asks, within patience."""
        network = self._network
        doubled = network.first_wait * 2.0 ** min(self._failures - 1, _MOST_DOUBLINGS)
        jittered = min(doubled, network.longest_wait) * _dice.uniform(0.5, 1.0)
        return max(0.0, min(max(jittered, trouble.wait), left))
