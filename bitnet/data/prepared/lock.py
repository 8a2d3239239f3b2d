"""One process at a time in a folder, by a lock that ends with the process that holds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bitnet.data.errors import DataError

_FILE = ".lock"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock on a folder.

    Raises:
        DataError: another process holds it.
    """
    handle = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    import fcntl  # a folder can be read, but not made, where this does not exist

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataError(
            f"output: another process is preparing '{folder}'; wait for it, or stop it"
        ) from error
