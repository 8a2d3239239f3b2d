"""A sign of life, so that a dead run cannot pass for a running one.

``run.json`` says "running" until somebody changes it, and a process that was killed changes
nothing. The heartbeat says when the run last made a step, and which process on which host made it.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bitnet.runs.atomic import write_json
from bitnet.runs.errors import RunError

STALE_AFTER = 300.0
"""Seconds without a beat after which a run is no longer believed to be running."""


@dataclass(frozen=True)
class Beat:
    """One beat: unix time in seconds, where training stood, and who wrote it."""

    time: float
    step: int
    tokens: int
    pid: int
    host: str

    def age(self, now: float) -> float:
        """Seconds from this beat to ``now`` (unix time)."""
        return now - self.time

    def is_alive(self, now: float) -> bool:
        """Whether the process that wrote this may still be running.

        On its own host that is known; elsewhere only the age speaks. An old beat is never alive,
        since a pid can be given out again.
        """
        if self.age(now) > STALE_AFTER:
            return False
        return self.host != socket.gethostname() or _pid_exists(self.pid)

    def is_mine(self) -> bool:
        """Whether this very process has the pid that wrote this.

        It wrote it, or took the pid over from a dead one, as after the restart of a container.
        """
        return self.host == socket.gethostname() and self.pid == os.getpid()


class Heartbeat:
    """Writes and reads ``heartbeat.json``.

    Args:
        path: the file.
        every_seconds: how often at most it is written.
        clock: unix time in seconds.
    """

    def __init__(
        self, path: Path, every_seconds: float = 10.0, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.every_seconds = every_seconds
        self._clock = clock
        self._last = float("-inf")

    def beat(self, step: int, tokens: int) -> bool:
        """Write, unless the last beat is too recent; whether it was written."""
        now = self._clock()
        # A clock set back must not silence the heart until it has caught up.
        if 0 <= now - self._last < self.every_seconds:
            return False
        write_json(self.path, asdict(Beat(now, step, tokens, os.getpid(), socket.gethostname())))
        self._last = now
        return True

    def read(self) -> Beat | None:
        """The last beat, or ``None`` if there never was one.

        Raises:
            RunError: the file is not a heartbeat.
        """
        try:
            return Beat(**json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise RunError(f"{self.path}: is not a heartbeat ({error})") from error


def _pid_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it exists and belongs to somebody else
        return True
    return True
