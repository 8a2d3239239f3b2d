"""One line in the log when a server goes away and one when it is back, however many files wait."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bitnet.data.remote.process import after_fork
from bitnet.data.remote.transport import scheme_of, shown

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Outage:
    since: float
    waiting: set[str] = field(default_factory=set)


class Outages:
    """The servers that this process cannot reach at the moment, with the files that wait."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start afresh, as a forked process must: its locks may be held by no one."""
        self._lock = threading.Lock()
        self._down: dict[str, _Outage] = {}

    def begun(self, location: str, reason: str) -> None:
        """A file has to wait for its server."""
        with self._lock:
            server = _server(location)
            if server not in self._down:
                log.warning("%s is unreachable (%s); trying again", shown(location), reason)
            outage = self._down.setdefault(server, _Outage(time.monotonic()))
            outage.waiting.add(location)

    def over(self, location: str) -> None:
        """A file need not wait any longer; the last one to say so ends the outage."""
        if (seconds := self._end(location)) is not None:
            log.warning("%s is back: it was unreachable for %.0f s", _server(location), seconds)

    def given_up(self, location: str) -> None:
        """A file no longer waits, because its reader gave up."""
        self._end(location)

    def _end(self, location: str) -> float | None:
        with self._lock:
            outage = self._down.get(_server(location))
            if outage is None or location not in outage.waiting:
                return None
            outage.waiting.remove(location)
            if outage.waiting:
                return None
            del self._down[_server(location)]
            return time.monotonic() - outage.since


def _server(location: str) -> str:
    return f"{scheme_of(location)}://{urlsplit(location).netloc.rpartition('@')[2]}"


outages = Outages()
after_fork(outages.forget)
