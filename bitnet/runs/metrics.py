"""A table that grows by a line a time and can be cut back to a step: ``metrics.csv``.

Its columns are fixed when it is made, so a file can be read while it is written and a misspelt
name fails at once. Numbers are written with ``repr``: what is read back is the same float, bit
for bit. A process killed while writing leaves at most a torn last line, which reading passes over
and cutting removes; a resumed run cuts back to its checkpoint and writes the rest again, so the
file ends as if nothing had happened.

    >>> file = MetricsFile(path, ["tokens", "step", "train/loss"])
    >>> file.append({"tokens": 4096, "step": 1, "train/loss": 9.01})
    >>> file.read()
    [{'tokens': 4096.0, 'step': 1.0, 'train/loss': 9.01}]
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import SupportsFloat

from bitnet.runs.atomic import write_text
from bitnet.runs.columns import CLOCK_COLUMNS, TEXT_COLUMNS
from bitnet.runs.errors import RunError, nearest

__all__ = ["CLOCK_COLUMNS", "Cell", "MetricsFile"]

_log = logging.getLogger(__name__)

Cell = SupportsFloat | str | None


class MetricsFile:
    """A CSV file with fixed columns, one of them ``step``.

    Args:
        path: the file; made, with its header, if it is not there.
        columns: what a row may hold, in order. ``None``: those of the existing file.

    Raises:
        RunError: the file has other columns, or there is none and no columns were given.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        self.path = path
        if not path.exists():
            if columns is None:
                raise RunError(f"{path}: there is no such table")
            write_text(path, _line(columns))
        self.columns = self._header()
        if columns is not None and list(columns) != self.columns:
            raise RunError(f"{path}: {_column_difference(self.columns, columns)}")
        self._whole = False

    def append(self, row: Mapping[str, Cell]) -> None:
        """Write one row; what it does not name stays empty.

        Args:
            row: column to number (anything ``float()`` takes), word (text columns) or ``None``.

        Raises:
            RunError: a key is not a column, or a word holds a line break.
        """
        unknown = [key for key in row if key not in self.columns]
        if unknown:
            hint = nearest(unknown[0], self.columns)
            raise RunError(f"{self.path.name}: '{unknown[0]}' is not a column{hint}")
        line = _line([_written(row.get(column)) for column in self.columns])
        if not self._whole:
            self._drop_torn_line()
        # One unbuffered write, so that a kill tears a line only if the disk itself does.
        with self.path.open("ab", buffering=0) as stream:
            stream.write(line.encode("utf-8"))

    def read(self) -> list[dict[str, float | None]]:
        """All whole rows, oldest first, without the text columns; empty cells are ``None``.

        Raises:
            RunError: a cell is not a number.
        """
        numeric = [column for column in self.columns if column not in TEXT_COLUMNS]
        rows = []
        for number, cells in enumerate(self.read_text(), start=2):
            try:
                rows.append({c: float(cells[c]) if cells[c] else None for c in numeric})
            except ValueError as error:
                raise RunError(f"{self.path}:{number}: {error}") from error
        return rows

    def read_text(self) -> list[dict[str, str]]:
        """All whole rows as they are written, text columns included.

        Raises:
            RunError: a row has more or fewer cells than there are columns.
        """
        rows = []
        for number, cells in enumerate(csv.reader(self._lines()[0][1:]), start=2):
            if len(cells) != len(self.columns):
                found = f"{len(cells)} cells for {len(self.columns)} columns"
                raise RunError(f"{self.path}:{number}: {found}")
            rows.append(dict(zip(self.columns, cells, strict=True)))
        return rows

    def truncate_after(self, step: int) -> int:
        """Keep the rows up to and with ``step``; the others are gone, in one atomic write.

        Returns:
            How many rows went, a torn one included.
        """
        lines, torn = self._lines()
        kept = [
            line
            for line, row in zip(lines[1:], self.read_text(), strict=True)
            if float(row["step"]) <= step
        ]
        dropped = len(lines) - 1 - len(kept) + bool(torn)
        if dropped:
            write_text(self.path, "".join([lines[0], *kept]))
            note = ", one of them torn" if torn else ""
            _log.info("%s: cut %d rows after step %d%s", self.path, dropped, step, note)
        self._whole = True
        return dropped

    def _lines(self) -> tuple[list[str], str]:
        """The whole lines, header first, and what stands after the last line break."""
        *lines, rest = self.path.read_bytes().split(b"\n")
        return [line.decode("utf-8") + "\n" for line in lines], rest.decode("utf-8", "replace")

    def _header(self) -> list[str]:
        lines, _ = self._lines()
        if not lines:
            raise RunError(f"{self.path}: has no header line")
        return next(csv.reader(lines))

    def _drop_torn_line(self) -> None:
        """Before the first row of this process: a torn line must not swallow the new one."""
        lines, torn = self._lines()
        if torn:
            _log.warning("%s: dropped a torn last line", self.path)
            write_text(self.path, "".join(lines))
        self._whole = True


def _line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _written(value: Cell) -> str:
    """Integers as they are, other numbers as the shortest text that reads back the same."""
    if value is None:
        return ""
    if isinstance(value, str):
        if "\n" in value or "\r" in value:
            raise RunError(f"a cell may not hold a line break: {value!r}")
        return value
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if whole else repr(float(value))


def _column_difference(old: Sequence[str], new: Sequence[str]) -> str:
    lost = [column for column in old if column not in new]
    extra = [column for column in new if column not in old]
    if lost or extra:
        return f"its columns are fixed; not in it: {extra}; in it but not asked for: {lost}"
    return "its columns are fixed and stand in another order"
