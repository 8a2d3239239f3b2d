"""Locks that end with the processes that hold them, however those end.

A sweep holds one on its directory; each job holds one on its folder, through a descriptor that it
inherits. So a sweep that is launched again knows a job that outlived the launcher from a dead one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bitnet.runs import RunError

_FILE = ".lock"


def try_lock(folder: Path) -> int | None:
    """A descriptor that holds the lock on ``folder`` until it is closed; ``None``: it is held."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock on the sweep directory ``folder``.

    Raises:
        RunError: another process holds it.
    """
    handle = try_lock(folder)
    if handle is None:
        raise RunError(f"{folder}: another process is running this sweep; wait for it or stop it")
    try:
        yield
    finally:
        os.close(handle)
