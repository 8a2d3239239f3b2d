"""The Gopher rules about repetition (Rae et al. 2021, table A1).

"Duplicate" means that the same line, paragraph or run of words came before in the document: of two
equal lines one is a duplicate. A share of characters in runs of words counts each word once,
however many runs it lies in, over the characters of all words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bitnet.data.quality.rule_specs import GopherSpec
from bitnet.data.quality.words import Hashes, growing_grams, word_hashes

_GAP = re.compile(r"\n\s*\n")


def repetition_fault(text: str, words: Sequence[str], spec: GopherSpec) -> str:
    """The first limit a document is beyond, or an empty string.

    Args:
        text: the document.
        words: its words.
        spec: the limits.
    """
    lines = _stripped(text.splitlines())
    paragraphs = _stripped(_GAP.split(text))
    if _beyond(lines, spec.max_duplicate_lines, spec.max_duplicate_line_chars):
        return "duplicate lines"
    chars = spec.max_duplicate_paragraph_chars
    if _beyond(paragraphs, spec.max_duplicate_paragraphs, chars):
        return "duplicate paragraphs"
    hashes = word_hashes(words)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    for n, grams in growing_grams(
        hashes, max([0, *spec.max_top_ngram, *spec.max_duplicate_ngrams])
    ):
        order = np.argsort(grams, kind="stable")
        if _share(_commonest(grams, order), n, lengths) > spec.max_top_ngram.get(n, 1.0):
            return f"commonest {n}-gram"
        if _share(_repeated(grams, order), n, lengths) > spec.max_duplicate_ngrams.get(n, 1.0):
            return f"duplicate {n}-grams"
    return ""


def _stripped(pieces: list[str]) -> list[str]:
    return [piece for piece in map(str.strip, pieces) if piece]


def _beyond(pieces: list[str], most_pieces: float, most_chars: float) -> bool:
    """Whether too many pieces came before, by number or by characters."""
    distinct = set(pieces)
    chars = sum(map(len, pieces))
    repeated_chars = chars - sum(map(len, distinct))
    repeated = len(pieces) - len(distinct)
    return repeated > most_pieces * len(pieces) or repeated_chars > most_chars * chars


def _commonest(grams: Hashes, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the commonest run begins, if any occurs twice; of equals the one that comes first."""
    first = _first_in_order(grams, order)
    counts = np.diff(np.append(first, len(order)))
    if not len(counts) or counts.max() < 2:
        return np.zeros(0, np.int64)
    best = np.flatnonzero(counts == counts.max())
    begin = first[best[np.argmin(order[first[best]])]]
    return order[begin : begin + counts.max()]


def _repeated(grams: Hashes, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the runs begin that came before."""
    return np.delete(order, _first_in_order(grams, order))


def _first_in_order(grams: Hashes, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places in `order`, which sorts the runs, where another run begins."""
    ranked = grams[order]
    return np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])[: len(ranked)])


def _share(starts: NDArray[np.int64], n: int, lengths: NDArray[np.int64]) -> float:
    """Share of characters in the runs of `n` words that begin at `starts`."""
    if not len(starts):
        return 0.0
    edges = np.zeros(len(lengths) + 1, np.int64)
    edges[starts] += 1
    edges[starts + n] -= 1  # starts are distinct, and so are ends
    covered = np.cumsum(edges[:-1]) > 0
    return float(lengths[covered].sum() / lengths.sum())
