"""Writes the training or the held-out documents of one shard.

Tokens go to a scratch file in the order in which they are read, so a document of any length needs
no memory and can still be taken back when its end proves to be broken. The files that stay are
copied from it document by document, in the order that is wanted.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from bitnet.data.prepared.files import NewFile, Stored, open_part, part_path
from bitnet.data.prepared.layout import ENDS, ORIGINS, PLACES, TOKENS
from bitnet.data.prepared.shard_record import SideRecord

_BYTES_AT_ONCE = 1 << 22


class SideWriter:
    """One side of a shard while it is made; leaving the context removes the scratch file."""

    def __init__(self, stem: Path, kind: np.dtype[np.unsignedinteger]) -> None:
        """Begin.

        Args:
            stem: path of the side's files, `….train`, to which the parts add their names.
            kind: format of a token.
        """
        self._stem = stem
        self._kind = kind
        self._path = part_path(stem)
        self._scratch = open_part(self._path)
        self._tokens = 0
        self._ends = array("q", [0])
        self._origins = array("q")
        self._bytes = self._open_bytes = 0

    def __enter__(self) -> SideWriter:
        """Nothing to do: the scratch file is open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the scratch file."""
        with suppress(OSError):  # closing flushes, which fails again on a full disk
            self._scratch.close()
        self._path.unlink(missing_ok=True)

    def add(self, ids: Sequence[int], text_bytes: int) -> None:
        """Append tokens to the current document, and note the size of the text they stand for."""
        self._scratch.write(np.asarray(ids, dtype=self._kind).data)
        self._tokens += len(ids)
        self._open_bytes += text_bytes

    def end_document(self, record: int) -> None:
        """The current document is complete; it was this record of its unit."""
        self._ends.append(self._tokens)
        self._origins.append(record)
        self._bytes += self._open_bytes
        self._open_bytes = 0

    def drop_document(self) -> None:
        """Take the current document back."""
        self._tokens, self._open_bytes = self._ends[-1], 0
        self._scratch.seek(self._tokens * self._kind.itemsize)
        self._scratch.truncate()

    @property
    def documents(self) -> int:
        """Complete documents so far."""
        return len(self._origins)

    def settle(self, order: NDArray[np.int64]) -> SideRecord:
        """Write the files that stay, documents in the order `order`, `[documents]`."""
        self._scratch.close()
        ends = np.array(self._ends, dtype=np.int64)
        starts, lengths = ends[:-1][order], np.diff(ends)[order]
        files = {
            TOKENS: self._copy_tokens(starts.tolist(), lengths.tolist()),
            ENDS: self._write(ENDS, np.cumsum(lengths)),
            ORIGINS: self._write(ORIGINS, np.array(self._origins, dtype=np.int64)[order]),
        }
        return SideRecord(int(ends[-1]), len(order), self._bytes, files)

    def _copy_tokens(self, starts: list[int], lengths: list[int]) -> Stored:
        """Copy the documents at `starts`; by reading, as a map would count as our memory."""
        width, held, size = self._kind.itemsize, list[bytes](), 0
        with NewFile(self._final(TOKENS)) as file, self._path.open("rb", buffering=0) as scratch:
            for start, length in zip(starts, lengths, strict=True):
                for part in _parts(scratch.fileno(), start * width, length * width):
                    held.append(part)
                    size += len(part)
                    if size >= _BYTES_AT_ONCE:
                        file.write_bytes(b"".join(held))
                        held, size = [], 0
            file.write_bytes(b"".join(held))
            return file.finish()

    def _write(self, part: str, numbers: NDArray[np.int64]) -> Stored:
        with NewFile(self._final(part)) as file:
            file.write(numbers.astype(PLACES))
            return file.finish()

    def _final(self, part: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}.{part}")


def _parts(handle: int, start: int, size: int) -> Iterator[bytes]:
    """So many bytes of a file from byte `start` on, a very long stretch in parts."""
    end = start + size
    while start < end:
        part = os.pread(handle, min(end - start, _BYTES_AT_ONCE), start)
        assert part, "the scratch file is shorter than what was written to it"
        yield part
        start += len(part)
