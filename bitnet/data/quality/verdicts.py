"""Which records are dropped and why: the answer of the quality steps, kept beside their work."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bitnet.data.errors import DataError
from bitnet.data.prepared.files import NewFile, read_json, write_json
from bitnet.data.quality.columns import Columns
from bitnet.data.quality.examined import unit_file

_ABOUT = "verdicts.json"
KEPT, HELD_OUT = "kept", "held out"


class Tally(NamedTuple):
    """Documents, and bytes of their text as UTF-8."""

    documents: int
    bytes: int


@dataclass(frozen=True)
class Verdicts:
    """What the quality steps decided; small, and can be sent to other processes.

    Attributes:
        folder: where the lists of dropped records lie.
        reasons: why records are dropped.
    """

    folder: Path
    reasons: tuple[str, ...]

    def dropped(self, source: str, unit: int) -> Mapping[int, str]:
        """Record number → reason, for the dropped records of one unit.

        Raises:
            DataError: the unit is not among those that were examined.
        """
        path = unit_file(self.folder, source, unit, "dropped.npy")
        try:
            numbers, codes = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error}); delete '{self.folder}'") from error
        pairs = zip(numbers.tolist(), codes.tolist(), strict=True)
        return {number: self.reasons[code] for number, code in pairs}

    def report(self) -> dict[str, dict[str, Tally]]:
        """For each source: what was kept, held out, and dropped for which reason."""
        sources = read_json(self.folder / _ABOUT)["sources"]
        return {
            source: {reason: Tally(*tally) for reason, tally in found.items()}
            for source, found in sources.items()
        }


def write_verdicts(folder: Path, columns: Columns) -> Verdicts:
    """Write the lists of dropped records, then the report that makes them valid."""
    for index, (source, unit) in enumerate(columns.units):
        rows = columns.rows_of(index)
        gone = columns.code[rows] >= 0
        content = io.BytesIO()
        np.save(content, np.stack([columns.number[rows][gone], columns.code[rows][gone]]))
        with NewFile(unit_file(folder, source, unit, "dropped.npy")) as file:
            file.write_bytes(content.getbuffer())
            file.finish()
    about = {"reasons": columns.reasons, "sources": _tallies(columns)}
    write_json(folder / _ABOUT, about)
    return Verdicts(folder, tuple(columns.reasons))


def read_verdicts(folder: Path) -> Verdicts | None:
    """What `write_verdicts` left in the folder, if it came to its end."""
    if not (folder / _ABOUT).is_file():
        return None
    return Verdicts(folder, tuple(read_json(folder / _ABOUT)["reasons"]))


def _tallies(columns: Columns) -> dict[str, dict[str, Tally]]:
    found: dict[str, dict[str, Tally]] = {}
    for number, source in enumerate(sorted({source for source, _ in columns.units})):
        mine = columns.source == number
        kinds = {KEPT: mine & ~columns.held & (columns.code < 0), HELD_OUT: mine & columns.held}
        for code, reason in enumerate(columns.reasons):
            kinds[reason] = mine & (columns.code == code)
        tallies = {
            kind: Tally(int(w.sum()), int(columns.size[w].sum())) for kind, w in kinds.items()
        }
        found[source] = {k: tally for k, tally in tallies.items() if tally.documents or k == KEPT}
    return found
