"""Runs commands side by side, each in a process group of its own that can be ended as a tree.

A training job may start further processes (ranks, loader workers, W&B). In a session of its own
they all belong to one group: a Ctrl-C at the terminal does not tear them apart, and nothing of a
job outlives it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

_POLL_SECONDS = 0.05
_STRAGGLERS_SECONDS = 5.0  # what other ranks may take to end after the first one did


@dataclass(frozen=True)
class Command:
    """What to run.

    Attributes:
        arguments: the command line.
        log: file that output is appended to.
        env: the whole environment.
        devices: how many GPUs it is to be given.
        keep_open: file descriptors that it inherits, such as that of a lock.
    """

    arguments: list[str]
    log: Path
    env: dict[str, str]
    devices: int = 0
    keep_open: tuple[int, ...] = ()


@dataclass
class Child:
    """A command that runs: its process, the GPUs it holds, and how much of its log was shown."""

    index: int
    process: subprocess.Popen[bytes]
    log: Path
    devices: list[str] = field(default_factory=list)
    shown: int = 0


@dataclass
class Pool:
    """Runs commands in their order, as many at once as there are places and GPUs.

    Attributes:
        places: how many commands at once.
        devices: GPUs to deal out through ``CUDA_VISIBLE_DEVICES``.
        grace_seconds: from the interrupt to the kill, when told to stop.
        show: copy the output of commands to the terminal while they run.
        started: told the index of a command and its GPUs.
        ended: told the index of a command and its exit code (negative: the signal that ended it).
    """

    places: int
    devices: list[str]
    grace_seconds: float
    show: bool
    started: Callable[[int, list[str]], None]
    ended: Callable[[int, int], None]
    _stops: int = 0
    _running: list[Child] = field(default_factory=list)

    def run(self, commands: Sequence[Command]) -> None:
        """Run all ``commands``.

        Raises:
            KeyboardInterrupt: told to stop (Ctrl-C, SIGTERM, SIGHUP); nothing is left running.
        """
        waiting, free = deque(enumerate(commands)), list(self.devices)
        with self._signals():
            try:
                while (waiting or self._running) and not self._stops:
                    while waiting and self._fits(waiting[0][1], free):
                        self._start(*waiting.popleft(), free)
                    free += self._collect()
                    time.sleep(_POLL_SECONDS)
            finally:
                self._stop_all()
        if self._stops:
            raise KeyboardInterrupt

    def _fits(self, command: Command, free: Sequence[str]) -> bool:
        return len(self._running) < self.places and command.devices <= len(free) and not self._stops

    def _start(self, index: int, command: Command, free: list[str]) -> None:
        taken = [free.pop(0) for _ in range(command.devices)]
        env = command.env | ({"CUDA_VISIBLE_DEVICES": ",".join(taken)} if taken else {})
        with command.log.open("ab") as log:
            shown = log.tell()
            process = subprocess.Popen(
                command.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                pass_fds=command.keep_open,
                start_new_session=True,
            )
        self._running.append(Child(index, process, command.log, taken, shown))
        self.started(index, taken)

    def _collect(self) -> list[str]:
        """Report the commands that have ended; returns the GPUs they held."""
        released: list[str] = []
        for child in list(self._running):
            code = child.process.poll()
            if self.show:
                _copy_output(child)
            if code is not None:
                _end_group(child.process.pid, 0.0 if code else _STRAGGLERS_SECONDS)
                self._running.remove(child)
                released += child.devices
                self.ended(child.index, code)
        return released

    def _stop_all(self) -> None:
        """Interrupt what runs, so that it saves; kill what has not ended in time."""
        for child in self._running:
            _signal_group(child.process.pid, signal.SIGINT)
        deadline = time.monotonic() + self.grace_seconds
        while self._running and time.monotonic() < deadline and self._stops < 2:
            self._collect()
            time.sleep(_POLL_SECONDS)
        for child in self._running:
            _signal_group(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self._collect()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Count requests to stop instead of dying of them; only a main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {kind: signal.signal(kind, self._note_stop) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler or signal.SIG_DFL)

    def _note_stop(self, number: int, frame: FrameType | None) -> None:
        # Only a second Ctrl-C is impatience; a closing terminal may well send two signals.
        self._stops += 1 if number == signal.SIGINT or not self._stops else 0


def _signal_group(group: int, kind: int) -> bool:
    """Signal a process group; whether there still is one."""
    try:
        os.killpg(group, kind)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _end_group(group: int, patience: float) -> None:
    """What is left of a job whose first process has ended goes too, after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while _signal_group(group, 0) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    _signal_group(group, signal.SIGKILL)


def _copy_output(child: Child) -> None:
    with child.log.open("rb") as log:
        log.seek(child.shown)
        fresh = log.read()
    if fresh:
        child.shown += len(fresh)
        sys.stdout.write(fresh.decode("utf-8", "replace"))
        sys.stdout.flush()
