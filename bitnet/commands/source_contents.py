"""Reads a source for ``bitnet data inspect``: whole if that is quick, else its beginning.

A corpus of a terabyte behind a network must answer in seconds, so of a source that is remote or
large only the first megabytes are read; what is then said of the whole is marked as an estimate.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from bitnet.data import DataError, Source, Tokenizer
from bitnet.data.records import Record
from bitnet.data.sources import StoredFile

_WHOLE_BYTES = 512_000_000
_PART_OF_TEXT = 4_000_000
_PART_OF_FILES = 16_000_000
_TOKENISED_BYTES = 4_000_000
_BATCH_BYTES = 200_000


@dataclass
class Contents:
    """What one source holds, or its beginning.

    Attributes:
        documents: usable documents.
        broken: records that cannot be used, the first of them explained in ``fault``.
        empty: records without text.
        bytes: UTF-8 bytes of text.
        tokens: counted, or scaled from a part if not ``exact``.
        exact: whether ``tokens`` was counted.
        whole: whether everything was read.
        stored: stored bytes of all files, 0 if unknown.
        read: stored bytes read.
        excerpt: the beginning of the first document.
    """

    documents: int = 0
    broken: int = 0
    empty: int = 0
    bytes: int = 0
    tokens: float = 0.0
    exact: bool = True
    whole: bool = True
    stored: int = 0
    read: int = 0
    fault: str = ""
    excerpt: str = ""


class _EnoughError(Exception):
    """As many bytes were read as a look is worth."""


@dataclass(frozen=True, slots=True)
class _Beginning(StoredFile):
    """A file that ends the look when much of it has been read."""

    def open(self) -> BinaryIO:
        """The stored bytes, up to a limit."""
        opened = super(_Beginning, self).open()
        limited = opened if self.name.endswith(".parquet") else _Limited(opened)
        return cast(BinaryIO, limited)


class _Limited(io.RawIOBase):
    """A stream that raises ``_EnoughError`` after a number of bytes."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw, self._left = raw, _PART_OF_FILES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: object) -> int:
        if self._left <= 0:
            raise _EnoughError
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        found = self._raw.read(min(len(view), self._left))
        view[: len(found)] = found
        self._left -= len(found)
        return len(found)

    def close(self) -> None:
        self._raw.close()
        super().close()


def read_source(source: Source, tokenizer: Tokenizer) -> Contents:
    """Count what is in ``source``; a damaged file ends its own counting."""
    remote = any(file.is_remote for file in source.files)
    found = Contents(stored=source.size, whole=not remote and source.size <= _WHOLE_BYTES)
    if not found.whole:
        source = replace(source, files=tuple(_beginning(file) for file in source.files))
    counter = _TokenCounter(tokenizer)
    for unit in source.units(1 << 62):
        before = found.read
        try:
            for record in source.read(unit):
                found.read = before + record.consumed
                _add(found, counter, record, source.place(unit, record.number))
                if not found.whole and found.bytes >= _PART_OF_TEXT:
                    raise _EnoughError
        except _EnoughError:
            break
        except DataError as error:
            found.fault = found.fault or str(error)
    counter.flush()
    found.exact = found.whole and counter.bytes == found.bytes
    found.tokens = counter.tokens * found.bytes / counter.bytes if counter.bytes else 0.0
    return found


def _beginning(file: StoredFile) -> StoredFile:
    return _Beginning(file.name, file.location, file.size, file.network)


def _add(found: Contents, counter: _TokenCounter, record: Record, place: str) -> None:
    if record.text is None:
        found.broken += 1
        found.fault = found.fault or f"{place}: {record.problem}"
    elif not record.text.strip() and record.part == 0 and record.last:
        found.empty += 1
    else:
        found.documents += record.last
        found.excerpt = found.excerpt or record.text
        found.bytes += counter.add(record.text, record.last)


class _TokenCounter:
    """Counts tokens of the first megabytes it is given, in batches."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.tokens = self.bytes = self._held = self._ends = 0
        self._texts: list[str] = []

    def add(self, text: str, last: bool) -> int:
        """Take a document, or a part of one; its size in bytes."""
        size = len(text.encode("utf-8", "surrogatepass"))
        if self.bytes + self._held < _TOKENISED_BYTES:
            self._texts.append(text)
            self._held += size
            self._ends += last
            if self._held >= _BATCH_BYTES:
                self.flush()
        return size

    def flush(self) -> None:
        """Tokenise what is held; a document also costs its EOS."""
        self.tokens += sum(len(ids) for ids in self.tokenizer.encode_batch(self._texts))
        self.tokens += self._ends
        self.bytes += self._held
        self._texts, self._held, self._ends = [], 0, 0
