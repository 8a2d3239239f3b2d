"""Words, their hashes and runs of them."""

from __future__ import annotations

import numpy as np
import pytest

from bitnet.data.quality.words import ExactHash, gram_hashes, growing_grams, word_hashes, words_of


@pytest.mark.parametrize(
    "other",
    [
        "DON'T Stop, the Café!",
        "don’t — stop: the café",
        "dont stop the cafe\u0301",
        "ＤＯＮ'Ｔ stop the café",
    ],
)
def test_case_punctuation_and_forms_are_evened_out(other: str) -> None:
    assert words_of(other) == ["dont", "stop", "the", "café"]


def test_hashes_never_change() -> None:
    # Signatures and scores on disk are compared with those of later versions.
    assert word_hashes(["the", "cat"]).tolist() == [3331141520948189790, 3429664268601861939]
    assert gram_hashes(word_hashes(["the", "cat"]), 2).tolist() == [4035812676548256420]


def test_runs_are_equal_where_their_words_are() -> None:
    one, two = word_hashes("a b c d e".split()), word_hashes("x b c d y".split())
    equal = np.intersect1d(gram_hashes(one, 3), gram_hashes(two, 3))
    assert equal.tolist() == gram_hashes(word_hashes(["b", "c", "d"]), 3).tolist()
    assert not len(np.intersect1d(gram_hashes(one, 3), gram_hashes(one[::-1].copy(), 3)))


def test_growing_runs_are_the_runs() -> None:
    hashes = word_hashes("a b c d".split())
    for n, grams in growing_grams(hashes, 6):
        assert grams.tolist() == gram_hashes(hashes, n).tolist()
        assert len(grams) == max(0, 5 - n)


def digest(*parts: str) -> bytes:
    found = ExactHash()
    for part in parts:
        found.add(part)
    return found.digest()


@pytest.mark.parametrize("cut", range(20))
def test_exact_hash_does_not_depend_on_parts(cut: int) -> None:
    text = " One  two\n\nthree four "
    assert digest(text[:cut], text[cut:]) == digest(text) == digest("one two THREE four")


def test_exact_hash_tells_words_apart() -> None:
    assert digest("ab c") != digest("a bc") != digest("abc")
    assert digest("a", " ", "b") == digest("a b") != digest("a", "b")
