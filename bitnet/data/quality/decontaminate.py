"""Finds benchmark items inside documents by their runs of words.

Every text of an item gives all its runs of `words` words; a text with fewer, but at least
`shortest`, gives one run: itself. Documents are looked up run by run among the 64-bit hashes (the
chance that any of 10^12 runs of words meets one of 10^6 by accident is about 5 %), with a table of
bits in front, because nearly all runs are in no benchmark.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitnet.data.errors import DataError
from bitnet.data.quality.benchmarks import texts_of
from bitnet.data.quality.spec import DecontaminateSpec
from bitnet.data.quality.words import Hashes, gram_hashes, growing_grams, word_hashes, words_of

log = logging.getLogger(__name__)

_SLOTS_PER_RUN = 16


@dataclass(frozen=True)
class Runs:
    """Runs of one length.

    Attributes:
        hashes: sorted, each once.
        files: which benchmark each is in (the first, if several).
        table: whether any hash has these last bits; its length is a power of two.
    """

    hashes: Hashes
    files: NDArray[np.int32]
    table: NDArray[np.bool_]

    def find(self, grams: Hashes) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Places in `grams` that are runs of a benchmark, and of which."""
        likely = np.flatnonzero(self.table[_last_bits(grams, len(self.table))])
        place = np.searchsorted(self.hashes, grams[likely])
        place[place == len(self.hashes)] = 0
        hit = self.hashes[place] == grams[likely]
        return likely[hit], self.files[place[hit]]


@dataclass(frozen=True)
class BenchmarkIndex:
    """What is looked for.

    Attributes:
        runs: by length in words.
        names: names of the files.
        texts: texts that are looked for.
        too_short: texts that are not, having too few words.
    """

    runs: dict[int, Runs]
    names: tuple[str, ...]
    texts: int
    too_short: int

    def find(self, hashes: Hashes) -> tuple[int, int]:
        """How many words of a document lie in runs of benchmarks, and number of the first's file.

        Args:
            hashes: of the document's words.
        """
        covered = np.zeros(len(hashes) + 1, np.int64)
        first = (len(hashes), -1)
        for n, grams in growing_grams(hashes, max(self.runs)):
            if n not in self.runs:
                continue
            starts, files = self.runs[n].find(grams)
            if len(starts):
                covered[starts] += 1
                covered[starts + n] -= 1
                first = min(first, (int(starts[0]), int(files[0])))
        return int((np.cumsum(covered) > 0).sum()), first[1]


def build_index(spec: DecontaminateSpec) -> BenchmarkIndex:
    """Read the benchmarks.

    Raises:
        DataError: a file cannot be read, lacks a field, or nothing in it is long enough.
    """
    runs: dict[int, list[Hashes]] = {}
    files: dict[int, list[NDArray[np.int32]]] = {}
    texts = short = 0
    for number, name in enumerate(spec.benchmarks):
        by_length, left_out = _texts_by_length(Path(name).expanduser(), spec)
        if not by_length:
            raise DataError(
                f"quality.decontaminate.benchmarks: '{name}' holds no text of at least "
                f"{spec.shortest} words"
            )
        short += left_out
        for n, found in by_length.items():
            texts += len(found)
            runs.setdefault(n, []).append(_grams_within(found, n))
            files.setdefault(n, []).append(np.full(len(runs[n][-1]), number, np.int32))
    whole = {n: _runs(np.concatenate(runs[n]), np.concatenate(files[n])) for n in sorted(runs)}
    if short:
        log.warning(
            "quality.decontaminate.shortest: %d benchmark texts of fewer than %d words are not "
            "looked for, %d are",
            short,
            spec.shortest,
            texts,
        )
    return BenchmarkIndex(whole, tuple(Path(name).name for name in spec.benchmarks), texts, short)


def _texts_by_length(file: Path, spec: DecontaminateSpec) -> tuple[dict[int, list[list[str]]], int]:
    """The words of a benchmark's texts by length of their runs, and how many are too short."""
    found: dict[int, list[list[str]]] = {}
    short = 0
    for text in texts_of(file, spec.fields):
        words = words_of(text)
        if len(words) < spec.shortest:
            short += 1
        else:
            found.setdefault(min(len(words), spec.words), []).append(words)
    return found, short


def _grams_within(texts: list[list[str]], n: int) -> Hashes:
    """All runs of `n` words that lie in one text; made together, because texts are short."""
    ends = np.cumsum([len(words) for words in texts])
    hashes = word_hashes([word for words in texts for word in words])
    grams = gram_hashes(hashes, n)
    start = np.arange(len(grams))
    text_end = ends[np.searchsorted(ends, start, side="right")]
    return grams[start + n <= text_end]


def _runs(hashes: Hashes, files: NDArray[np.int32]) -> Runs:
    distinct, first = np.unique(hashes, return_index=True)
    table = np.zeros(1 << (_SLOTS_PER_RUN * len(distinct)).bit_length(), bool)
    table[_last_bits(distinct, len(table))] = True
    return Runs(distinct, files[first], table)


def _last_bits(hashes: Hashes, size: int) -> NDArray[np.int64]:
    return (hashes & np.uint64(size - 1)).astype(np.int64)
