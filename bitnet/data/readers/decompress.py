"""Decompressed byte streams that notice when a file has been cut off.

The `zstandard` stream reader ends quietly at a truncated frame, which would train on part of a
corpus without a word. The reader here knows whether a frame was complete when the file ended.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import zstandard

from bitnet.data.errors import DataError

_CHUNK_BYTES = 1 << 17
_BUFFER_BYTES = 1 << 20
_LARGEST_WINDOW = 1 << 31


class ZstdStream(io.RawIOBase):
    """Read-only view of the text in a .zst file of any number of frames."""

    def __init__(self, raw: BinaryIO, name: str) -> None:
        """Decompress `raw`; `name` is used in error messages."""
        super().__init__()
        self._raw = raw
        self._name = name
        self._frame = _new_frame()
        self._frame_started = False
        self._pending = b""
        self._compressed_bytes = 0

    def readable(self) -> bool:
        """Always true: the stream is for reading."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill `buffer` with decompressed bytes; 0 means the end of the last complete frame."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # RawIOBase hands any buffer
        while not self._pending and self._refill():
            pass
        count = min(len(view), len(self._pending))
        view[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count

    def _refill(self) -> bool:
        """Decompress one more chunk; false at the end of the file."""
        chunk = self._raw.read(_CHUNK_BYTES)
        if not chunk:
            self._check_complete()
            return False
        self._compressed_bytes += len(chunk)
        try:
            self._pending = self._decompress(chunk)
        except zstandard.ZstdError as error:
            raise DataError(f"{self._name}: broken zstd data ({error})") from error
        return True

    def _decompress(self, chunk: bytes) -> bytes:
        parts = []
        while chunk:
            if self._frame.eof:
                self._frame, self._frame_started = _new_frame(), False
            parts.append(self._frame.decompress(chunk))
            self._frame_started = True
            chunk = self._frame.unused_data if self._frame.eof else b""
        return b"".join(parts)

    def _check_complete(self) -> None:
        if self._frame_started and not self._frame.eof:
            raise DataError(
                f"{self._name}: truncated zstd file: it ends inside a frame after "
                f"{self._compressed_bytes} bytes; fetch it again"
            )


def _new_frame() -> zstandard.ZstdDecompressionObj:
    return zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()


def is_plain(name: str) -> bool:
    """Whether a file of this name is stored as it is read."""
    return not name.endswith((".zst", ".gz"))


def decompressed(raw: BinaryIO, name: str) -> BinaryIO:
    """The bytes stored in a file, decompressed according to the end of its name."""
    if name.endswith(".zst"):
        return io.BufferedReader(ZstdStream(raw, name), _BUFFER_BYTES)
    if name.endswith(".gz"):
        unzipped = gzip.GzipFile(fileobj=raw, mode="rb")
        return io.BufferedReader(unzipped, _BUFFER_BYTES)  # type: ignore[arg-type,type-var,unused-ignore]
    return raw


@contextmanager
def stored_bytes_checked(raw: BinaryIO, name: str) -> Iterator[None]:
    """Turn what the gzip module says about a damaged file into one line that names the file."""
    try:
        yield
    except EOFError as error:
        raise DataError(
            f"{name}: truncated gzip file: it ends after {raw.tell()} bytes without an end mark; "
            "fetch it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name}: broken gzip data ({error})") from error
