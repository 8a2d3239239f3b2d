"""Texts as sequences of hashed words: what near-duplicates and benchmark items are compared by.

A word is a run of letters, digits and underscores after case, compatibility forms (NFKC) and
apostrophes are evened out, so that a changed comma or quotation mark changes nothing. Everything
after the split into words is arithmetic on arrays of 64-bit hashes, and the same on every machine.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_WORD = re.compile(r"\w+")
_APOSTROPHES = "'’ʼ`´"
_MOST_REMEMBERED = 1 << 20
_remembered: dict[str, int] = {}


def words_of(text: str) -> list[str]:
    """The words of a text, evened out."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    for mark in _APOSTROPHES:
        text = text.replace(mark, "")
    return _WORD.findall(text.casefold())


def word_hashes(words: Sequence[str]) -> Hashes:
    """A 64-bit hash of each word."""
    if len(_remembered) > _MOST_REMEMBERED:
        _remembered.clear()
    found = [_remembered.get(word) or _hash(word) for word in words]
    return np.array(found, dtype=np.uint64)


def _hash(word: str) -> int:
    digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return _remembered.setdefault(word, int.from_bytes(digest, "little"))


def growing_grams(hashes: Hashes, longest: int) -> Iterator[tuple[int, Hashes]]:
    """For n = 1, 2, … `longest`: the hashes of all runs of n words, in order."""
    grams = np.zeros(len(hashes), np.uint64)
    for n in range(1, longest + 1):
        grams = grams[: max(0, len(hashes) - n + 1)]
        grams = scrambled(grams * np.uint64(0x9E3779B97F4A7C15) + hashes[n - 1 :])
        yield n, grams


def gram_hashes(hashes: Hashes, n: int) -> Hashes:
    """Hashes of all runs of `n` words, in order; none if there are fewer words."""
    return next(grams for length, grams in growing_grams(hashes, n) if length == n)


def scrambled(numbers: Hashes) -> Hashes:
    """A bijection of 64-bit numbers that spreads every bit (the finaliser of splitmix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


class ExactHash:
    """Hash of a document but for case and white space, also if it comes in parts."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=16)
        self._begun = self._gap = False

    def add(self, text: str) -> None:
        """Take the next part."""
        words = text.casefold().split()
        if not words:
            self._gap = self._gap or bool(text)
            return
        if self._begun and (self._gap or text[0].isspace()):
            self._digest.update(b" ")
        self._digest.update(" ".join(words).encode("utf-8", "surrogatepass"))
        self._begun, self._gap = True, text[-1].isspace()

    def digest(self) -> bytes:
        """16 bytes."""
        return self._digest.digest()
