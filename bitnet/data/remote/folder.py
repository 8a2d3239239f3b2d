"""A folder that many processes write to: whole files, a lock, and a count of what is there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

DIGEST_BYTES = 16


def digest(data: bytes) -> bytes:
    """A short hash of a page."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def used(path: Path) -> None:
    """Mark a file as used now, where the folder may be written."""
    with contextlib.suppress(OSError):
        os.utime(path)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears under its name only when it is complete."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def files(root: Path) -> Iterator[tuple[float, str, int]]:
    """Time of last use, path and size of every file of the store, unfinished ones included."""
    for folder in os.scandir(root):
        if not folder.is_dir():
            continue
        for entry in os.scandir(folder.path):
            with contextlib.suppress(FileNotFoundError):
                stat = entry.stat()
                yield stat.st_mtime, entry.path, stat.st_size


@contextlib.contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """Hold the lock of the folder; the file that is locked holds the bytes in use."""
    import fcntl  # not on every system

    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield lock
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # a child forked meanwhile must not keep it locked


def number_in(lock: BinaryIO) -> int | None:
    """The count in a locked file, or None if there is none."""
    digits = lock.read(32)
    return int(digits) if digits.isdigit() else None
