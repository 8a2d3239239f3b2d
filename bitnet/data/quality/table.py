"""Collects the documents of a unit into arrays; signatures are made many at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bitnet.data.quality.examined import Examined
from bitnet.data.quality.near import Signatures, bands, signatures
from bitnet.data.quality.spec import QualitySpec
from bitnet.data.quality.words import ExactHash, Hashes

_WAITING_HASHES = 1 << 20


@dataclass
class Document:
    """What is known of one document; it grows while the parts of a long one go by.

    Attributes:
        number: of the record in its unit.
        held: whether it is held out for validation.
        size: bytes of text as UTF-8.
        fault: the rule it breaks.
        shingles: runs of words of its first part, for near-duplicates.
        words: words looked through for benchmarks …
        found: … and how many of them are in one …
        benchmark: … of which this is the first.
        tail: the last words of the parts so far.
        exact: hash of the parts so far.
    """

    number: int
    held: bool
    size: int
    fault: str = ""
    shingles: Hashes | None = None
    words: int = 0
    found: int = 0
    benchmark: str = ""
    tail: list[str] = field(default_factory=list)
    exact: ExactHash = field(default_factory=ExactHash)


class Table:
    """The documents of a unit, one row each.

    Args:
        spec: the steps.
    """

    def __init__(self, spec: QualitySpec) -> None:
        self._spec = spec
        self._rows: list[tuple[int, int, bool, int, int, bytes]] = []
        self._names: dict[str, int] = {}
        self._waiting: list[Hashes] = []
        self._signatures: list[Signatures] = []

    def add(self, document: Document) -> None:
        """Take a document that is complete."""
        share = self._spec.decontaminate.max_share
        told = document.found > share * document.words
        benchmark = f"decontaminate: {document.benchmark}" if told and document.benchmark else ""
        fault, found = self._code(document.fault), self._code(benchmark)
        row = (document.number, document.size, document.held, fault, found)
        self._rows.append((*row, document.exact.digest()))
        if self._spec.near.enabled:
            runs = document.shingles
            self._waiting.append(np.zeros(0, np.uint64) if runs is None else runs)
            if sum(map(len, self._waiting)) > _WAITING_HASHES:
                self._sign()

    def finish(self) -> Examined:
        """All rows as arrays."""
        columns = list(zip(*self._rows, strict=True)) or [(), (), (), (), (), ()]
        number, size, held, fault, found, exact = columns
        rows = self._signed()
        return Examined(
            number=np.array(number, np.int64),
            size=np.array(size, np.int64),
            held=np.array(held, bool),
            fault=np.array(fault, np.int32),
            benchmark=np.array(found, np.int32),
            exact=np.frombuffer(b"".join(exact), np.uint64).reshape(-1, 2),
            bands=bands(rows, self._spec.near) if self._spec.near.enabled else _none(len(rows)),
            signature=rows,
            names=np.array(list(self._names), np.str_),
        )

    def _code(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names)) if name else -1

    def _sign(self) -> None:
        rows = signatures(self._waiting, self._spec.near.permutations)
        rows[[not len(each) for each in self._waiting]] = 0
        self._signatures.append(rows)
        self._waiting = []

    def _signed(self) -> Signatures:
        if not self._spec.near.enabled:
            return np.zeros((len(self._rows), 0), np.uint32)
        self._sign()
        return np.concatenate(self._signatures)


def _none(count: int) -> Hashes:
    return np.zeros((0, count), np.uint64)
