"""All documents of a corpus as columns: what decisions about one need of all the others.

Some 60 bytes a document are held in memory. Signatures and bands, ten times as much, are laid out
in two scratch files and mapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitnet.data.quality.examined import Examined, unit_file

Numbers = NDArray[np.int64]


@dataclass
class Columns:
    """One row a document, in the order of sources, units and records.

    Attributes:
        units: (source, unit) in that order; `first[i]:first[i + 1]` are the rows of `units[i]`.
        number: of the record in its unit.
        size: bytes of text.
        held: whether it is held out for validation.
        exact: `[N, 2]`, the hash of the whole text.
        source: a number.
        benchmark: which reason to give for benchmark text in it, or -1.
        reasons: why documents are dropped.
        code: place of a document's reason in `reasons`, or -1: it is kept.
    """

    units: Sequence[tuple[str, int]]
    first: Numbers
    number: Numbers
    size: Numbers
    held: NDArray[np.bool_]
    exact: NDArray[np.uint64]
    source: Numbers
    benchmark: Numbers
    code: Numbers
    reasons: list[str] = field(default_factory=list)

    def drop(self, which: NDArray[np.bool_] | Numbers, reason: str) -> None:
        """Drop documents, by mask or by row."""
        self.code[which] = reason_code(self.reasons, reason)

    def rows_of(self, unit: int) -> slice:
        """The rows of `units[unit]`."""
        return slice(int(self.first[unit]), int(self.first[unit + 1]))

    def in_sources(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each document's source is among `names`; none given: all are."""
        if not names:
            return np.ones(len(self.code), bool)
        own = sorted({source for source, _ in self.units})
        return np.isin(self.source, [own.index(name) for name in names])


def gather(folder: Path, units: Sequence[tuple[str, int]]) -> Columns:
    """Load what `Examined.save` wrote for all units, but for signatures and bands."""
    names, reasons = sorted({source for source, _ in units}), list[str]()
    parts: dict[str, list[NDArray[Any]]] = {}
    for source, unit in units:
        part = Examined.load(unit_file(folder, source, unit, "npz"))
        codes = [reason_code(reasons, str(name)) for name in part.names]
        translate = np.array([*codes, -1], np.int64)  # the last is what -1 points at
        columns: dict[str, NDArray[Any]] = {
            "number": part.number,
            "size": part.size,
            "held": part.held,
            "exact": part.exact,
            "source": np.full(len(part.number), names.index(source), np.int64),
            "benchmark": translate[part.benchmark],
            "code": translate[part.fault],
        }
        for name, column in columns.items():
            parts.setdefault(name, []).append(column)
    first = np.cumsum([0, *map(len, parts["number"])])
    joined = {name: np.concatenate(columns) for name, columns in parts.items()}
    return Columns(units=units, first=first, reasons=reasons, **joined)


def reason_code(reasons: list[str], name: str) -> int:
    """Place of a reason in the list, added if it is new."""
    if name not in reasons:
        reasons.append(name)
    return reasons.index(name)


class SignatureFiles:
    """Signatures `[N, permutations]` and bands `[bands, N]` of all documents, mapped from scratch.

    A context manager; the two files are deleted at its end.
    """

    def __init__(self, folder: Path, columns: Columns) -> None:
        """Lay the files out from those of the units."""
        self._paths = [folder / "all.signatures", folder / "all.bands"]
        count = len(columns.code)
        for index, (source, unit) in enumerate(columns.units):
            part = Examined.load(unit_file(folder, source, unit, "npz"))
            if not index:
                shapes = [(count, part.signature.shape[1]), (len(part.bands), count)]
                self.signatures: NDArray[np.uint32] = _scratch(self._paths[0], "<u4", shapes[0])
                self.bands: NDArray[np.uint64] = _scratch(self._paths[1], "<u8", shapes[1])
            rows = columns.rows_of(index)
            self.signatures[rows] = part.signature
            self.bands[:, rows] = part.bands

    def __enter__(self) -> SignatureFiles:
        """Nothing to do: they are there."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Delete the files."""
        del self.signatures, self.bands
        for path in self._paths:
            path.unlink(missing_ok=True)


def _scratch(path: Path, kind: str, shape: tuple[int, int]) -> NDArray[Any]:
    if not shape[0] * shape[1]:
        return np.zeros(shape, kind)
    return np.memmap(path, kind, "w+", shape=shape)
