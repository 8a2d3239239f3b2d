"""Files that are either whole or not there, and a full disk as one line.

Everything is written under a temporary name, flushed, and renamed. The checksum is taken on the way
to the disk, so that making one never costs a second reading.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bitnet.data.errors import DataError

_PART = ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CHUNK = 1 << 22
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Stored:
    """What a finished file must be: its size, and the BLAKE2b digest of its content."""

    size: int
    checksum: str


class NewFile:
    """A file being written; it takes its name when it is complete, or leaves nothing behind."""

    def __init__(self, path: Path) -> None:
        """Begin the file that will be `path`; the folder must exist."""
        self._path = path
        self._part = part_path(path)
        self._stream = open_part(self._part)
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self._size = 0

    def __enter__(self) -> NewFile:
        """Nothing to do: the file is open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove what is there unless it was finished."""
        with suppress(OSError):  # closing flushes, which fails again on a full disk
            self._stream.close()
        self._part.unlink(missing_ok=True)

    def write(self, numbers: NDArray[Any]) -> None:
        """Append an array of numbers as they are in memory."""
        self.write_bytes(np.ascontiguousarray(numbers).view(np.uint8).data)

    def write_bytes(self, content: bytes | memoryview) -> None:
        """Append bytes."""
        self._stream.write(content)
        self._digest.update(content)
        self._size += len(content)

    def finish(self) -> Stored:
        """Flush the file to the disk and give it its name."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._part.replace(self._path)
        return Stored(self._size, self._digest.hexdigest())


def part_path(path: Path) -> Path:
    """Temporary name of a file; `remove_leftovers` knows it."""
    return path.with_name(f".{path.name}.{os.getpid()}{_PART}")


def open_part(path: Path) -> BinaryIO:
    """Open a temporary file for writing; apart so that a test can give it a full disk."""
    return path.open("wb")


def write_json(path: Path, content: object) -> None:
    """Replace a file by JSON, on the disk when this returns."""
    with NewFile(path) as file:
        file.write_bytes((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
        file.finish()
    flush_folder(path.parent)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file written by `write_json`.

    Raises:
        DataError: it holds something else.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}, not an object")
    return content


def checksum_of(path: Path) -> str:
    """Digest of a file's content."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files of writers that were killed, in a folder and those directly in it."""
    for pattern in (f".*{_PART}", f"*/.*{_PART}"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


@contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """Turn "no space left" into one line that says how to go on.

    Raises:
        DataError: the disk, or the user's share of it, is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DataError(
            f"output: no space is left for '{folder}' ({error.strerror}); the finished shards are "
            "kept: free some space and give the same command again"
        ) from error
