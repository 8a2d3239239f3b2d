"""A source: the files of one subset, read by position.

Files are named relative to the corpus, so that the fingerprint of a run and the order of its files
do not depend on the machine. Local and remote files differ only in how their bytes are opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, cast

from bitnet.data.errors import DataError
from bitnet.data.readers import read_records
from bitnet.data.records import Record, Selection


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a source.

    Attributes:
        name: name relative to the corpus, the same on every machine.
        location: where it is now: a path, or an address such as `hf://…` or `https://…`.
        size: stored bytes, or 0 if unknown.
    """

    name: str
    location: str
    size: int = 0

    def open(self) -> BinaryIO:
        """Open the stored bytes; remote files are streamed through `datasets`."""
        try:
            if "://" not in self.location:
                return open(self.location, "rb")
            from datasets.utils.file_utils import xopen  # slow to import, and rarely needed

            return cast(BinaryIO, xopen(self.location, "rb"))
        except (OSError, ValueError) as error:
            raise DataError(f"{self.name}: cannot be opened ({error})") from error


@dataclass(frozen=True, slots=True)
class Source:
    """The documents of one subset.

    Attributes:
        name: name of the subset.
        files: its files in a fixed order.
        text_field: key or column that holds the text of a document.
    """

    name: str
    files: tuple[StoredFile, ...]
    text_field: str = "text"

    def read(self, file: int, selection: Selection) -> Iterator[Record]:
        """Yield the selected records of file number `file`.

        Raises:
            DataError: the file is damaged, gone or of an unknown format.
        """
        stored = self.files[file]
        with closing(stored.open()) as raw:
            try:
                yield from read_records(raw, stored.name, self.text_field, selection)
            except OSError as error:
                raise DataError(f"{stored.name}: cannot be read ({error})") from error

    def place(self, file: int, record: int) -> str:
        """Name a record the way editors do: file, colon, line counted from 1."""
        return f"{self.files[file].name}:{record + 1}"

    @property
    def size(self) -> int:
        """Stored bytes of all files whose size is known."""
        return sum(file.size for file in self.files)
