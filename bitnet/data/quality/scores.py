"""The folder of scores that a language model gave to documents: written once, read by `prepare`.

A unit of a source has one file of rows (record, score, tokens). While it is being scored, rows are
appended to a `.part` and flushed after every batch, so a killed run loses at most the batch that
was in the model; what a torn last row left is cut off. `scores.json` says what was scored with
what.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitnet.data.errors import DataError
from bitnet.data.prepared.files import NewFile, flush_folder, read_json, write_json
from bitnet.data.quality.examined import unit_file
from bitnet.data.quality.identity import Identity, refuse_other

ROW = np.dtype([("number", "<i8"), ("score", "<f8"), ("tokens", "<i8")])
"""One scored document: its record in the unit, P(yes), and its tokens."""

Rows = NDArray[np.void]

_ABOUT = "scores.json"


class ScoreFolder:
    """Scores of the documents of some sources.

    Attributes:
        identity: what was scored with what.
    """

    def __init__(self, folder: Path, identity: Identity) -> None:
        """Use `begin` or `open`."""
        self._folder = folder
        self.identity = identity

    @classmethod
    def begin(cls, folder: Path, identity: Identity) -> ScoreFolder:
        """Make the folder, or go on with it.

        Raises:
            DataError: it holds scores of something else.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / _ABOUT).exists():
            refuse_other(read_json(folder / _ABOUT), identity, f"output: '{folder}' holds scores")
        else:
            write_json(folder / _ABOUT, identity)
        return cls(folder, identity)

    @classmethod
    def open(cls, folder: Path) -> ScoreFolder:
        """Open finished scores for reading.

        Raises:
            DataError: there are none.
        """
        if not (folder / _ABOUT).is_file():
            raise DataError(f"'{folder}' holds no scores; `bitnet data score` makes them")
        return cls(folder, read_json(folder / _ABOUT))

    def check(self, expected: Mapping[str, object]) -> None:
        """Raise unless the identity has these values.

        Raises:
            DataError: names each difference.
        """
        own = {key: self.identity.get(key, "absent") for key in expected}
        refuse_other(own, expected, f"quality.scores.folder: '{self._folder}' holds scores")

    def unit(self, source: str, unit: int) -> UnitScores:
        """The scores of one unit, for writing."""
        path = unit_file(self._folder, source, unit, "scores")
        path.parent.mkdir(parents=True, exist_ok=True)
        return UnitScores(path)

    def read(self, source: str, unit: int) -> Rows:
        """The scores of a unit, by record.

        Raises:
            DataError: it is not scored to its end.
        """
        path = unit_file(self._folder, source, unit, "scores")
        if not path.is_file():
            raise DataError(
                f"'{self._folder}' has no scores of part {unit} of {source}: give the "
                "`bitnet data score` command again to finish it"
            )
        return _rows_of(path)


class UnitScores:
    """The growing scores of one unit.

    Attributes:
        finished: whether the unit is scored to its end.
    """

    def __init__(self, path: Path) -> None:
        """Look at what is there; a torn last row is cut off."""
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self.finished = path.exists()
        if self.finished:
            self._part.unlink(missing_ok=True)
        elif self._part.exists():
            whole = self._part.stat().st_size // ROW.itemsize * ROW.itemsize
            os.truncate(self._part, whole)

    def numbers(self) -> set[int]:
        """The records that have a score."""
        here = self._path if self.finished else self._part
        return set(_rows_of(here)["number"].tolist()) if here.exists() else set()

    def append(self, rows: Rows) -> None:
        """Add scores; they are on the disk when this returns."""
        with self._part.open("ab") as stream:
            stream.write(rows.tobytes())
            stream.flush()
            os.fsync(stream.fileno())

    def finish(self) -> None:
        """Put the rows in order and give the file its name."""
        rows = _rows_of(self._part) if self._part.exists() else np.zeros(0, ROW)
        with NewFile(self._path) as file:
            file.write_bytes(rows[np.argsort(rows["number"], kind="stable")].tobytes())
            file.finish()
        flush_folder(self._path.parent)
        self._part.unlink(missing_ok=True)
        self.finished = True


def _rows_of(path: Path) -> Rows:
    content = path.read_bytes()
    return np.frombuffer(content[: len(content) // ROW.itemsize * ROW.itemsize], ROW)
