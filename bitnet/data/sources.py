"""A source: the files of one subset, read by position.

Files are named relative to the corpus, so that the fingerprint of a run and the order of its files
do not depend on the machine. Local and remote files differ only in how their bytes are opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bitnet.data.errors import DataError
from bitnet.data.readers import can_be_cut, can_be_shared, parse_line, raw_lines, read_records
from bitnet.data.records import Query, RawRecord, Record, Selection, Unit, Where
from bitnet.data.remote import NetworkSpec, open_remote, stat_many, stat_remote

_EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a source.

    Attributes:
        name: name relative to the corpus, the same on every machine.
        location: where it is now: a path, or an address such as `hf://…` or `https://…`.
        size: stored bytes, or 0 if unknown.
        network: how a file elsewhere is reached.
    """

    name: str
    location: str
    size: int = 0
    network: NetworkSpec | None = field(default=None, compare=False)

    @property
    def is_remote(self) -> bool:
        """Whether it has an address rather than a path."""
        return "://" in self.location

    def open(self) -> BinaryIO:
        """Open the stored bytes.

        Raises:
            DataError: it is gone, or cannot be reached.
        """
        try:
            if self.is_remote:
                return open_remote(self.location, self.network or NetworkSpec())
            return open(self.location, "rb")
        except DataError:
            raise
        except (OSError, ValueError) as error:
            raise DataError(f"{self.name}: cannot be opened ({error})") from error

    def stored_bytes(self) -> int:
        """Its size, asked for if it is not known; 0 if nobody can tell."""
        if self.size:
            return self.size
        if not self.is_remote:
            return os.path.getsize(self.location)
        return stat_remote(self.location, self.network or NetworkSpec()).size or 0


@dataclass(frozen=True, slots=True)
class Source:
    """The documents of one subset.

    Attributes:
        name: name of the subset.
        files: its files in a fixed order.
        text_field: key or column that holds the text of a document, dotted if it lies deeper.
        where: the records of the files that belong to the subset, if not all do.
    """

    name: str
    files: tuple[StoredFile, ...]
    text_field: str = "text"
    where: Where | None = None

    def units(self, range_bytes: int) -> tuple[Unit, ...]:
        """Cut the source into what can be read side by side, in file order.

        Args:
            range_bytes: files of plain JSON lines are cut into equal ranges of at most so many
                bytes; others can only be read from their beginning.
        """
        self.ask_sizes()
        return tuple(
            unit
            for number, file in enumerate(self.files)
            for unit in _ranges(number, file, range_bytes)
        )

    def ask_sizes(self) -> None:
        """Learn the sizes of remote files that can be cut, many at once instead of one by one."""
        unknown = [f for f in self.files if f.is_remote and not f.size and can_be_cut(f.name)]
        if unknown:
            stat_many([file.location for file in unknown], unknown[0].network or NetworkSpec())

    def read(self, unit: Unit, selection: Selection = _EVERYTHING) -> Iterator[Record]:
        """Yield the selected records of one unit.

        Raises:
            DataError: the file is damaged, gone, out of reach or of an unknown format.
        """
        stored = self.files[unit.file]
        query = Query(self.text_field, self.where, unit, selection)
        with closing(stored.open()) as raw:
            try:
                yield from read_records(raw, stored.name, query)
            except OSError as error:
                raise DataError(f"{stored.name}: cannot be read ({error})") from error

    def shares(self, unit: Unit) -> bool:
        """Whether `lines` can be read of a unit, and parsed by somebody else later."""
        return can_be_shared(self.files[unit.file].name)

    def lines(self, unit: Unit) -> Iterator[RawRecord]:
        """Yield the records of a whole file unparsed; errors as in `read`."""
        stored = self.files[unit.file]
        with closing(stored.open()) as raw:
            try:
                yield from raw_lines(raw, stored.name)
            except OSError as error:
                raise DataError(f"{stored.name}: cannot be read ({error})") from error

    def parse(self, line: RawRecord) -> Record | None:
        """The record of a whole line, or None if it belongs to another subset."""
        return parse_line(line, Query(self.text_field, self.where, Unit(0), _EVERYTHING))

    def place(self, unit: Unit, record: int) -> str:
        """Name a record the way editors do: file, colon, line counted from 1."""
        stored = self.files[unit.file]
        if not unit.start:
            return f"{stored.name}:{record + 1}"
        if stored.is_remote:
            return f"{stored.name}: line {record + 1} after byte {unit.start}"
        return f"{stored.name}:{_lines_before(Path(stored.location), unit.start) + record + 1}"

    @property
    def size(self) -> int:
        """Stored bytes of all files whose size is known."""
        return sum(file.size for file in self.files)


def _ranges(number: int, file: StoredFile, range_bytes: int) -> Iterator[Unit]:
    size = file.stored_bytes() if can_be_cut(file.name) else 0
    parts = -(-size // range_bytes)
    if parts < 2:
        yield Unit(number)
        return
    for part in range(parts):
        end = size * (part + 1) // parts if part + 1 < parts else None
        yield Unit(number, size * part // parts, end)


def _lines_before(path: Path, byte: int) -> int:
    """Lines that begin before a stored byte; only asked for when a message must name a line."""
    count, left, ended = 0, byte, True
    with path.open("rb") as file:
        while left and (chunk := file.read(min(left, 1 << 20))):
            count += chunk.count(b"\n")
            left -= len(chunk)
            ended = chunk.endswith(b"\n")
    return count if ended else count + 1
