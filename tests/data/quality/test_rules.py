"""The published rules, each just inside and just outside its limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitnet.data import DataError
from bitnet.data.quality import C4Spec, GopherSpec, LanguageSpec
from bitnet.data.quality.c4 import c4_rule
from bitnet.data.quality.gopher import gopher_fault
from bitnet.data.quality.language import language_rule
from bitnet.data.quality.repetition import repetition_fault
from tests.data.quality.prose import documents

QUIET = GopherSpec(repetition=False)


def plain(count: int) -> list[str]:
    """Distinct words of five letters, two of them stop words."""
    letters = "abcdefghij"
    return ["the", "and"] + [
        f"w{letters[n // 100 % 10]}{letters[n // 10 % 10]}{letters[n % 10]}x"
        for n in range(count - 2)
    ]


def test_good_prose_passes_every_rule() -> None:
    for text in documents(20):
        assert gopher_fault(text, GopherSpec()) == ""
        assert c4_rule(C4Spec())(text) == ""


@pytest.mark.parametrize(("words", "fault"), [(49, "too few words"), (50, "")])
def test_fewest_words(words: int, fault: str) -> None:
    assert gopher_fault(" ".join(plain(words)), QUIET) == fault


def test_most_words() -> None:
    spec = GopherSpec(max_words=60, repetition=False)
    assert gopher_fault(" ".join(plain(60)), spec) == ""
    assert gopher_fault(" ".join(plain(61)), spec) == "too many words"


def test_mean_word_length() -> None:
    assert gopher_fault("of to " * 30, QUIET) == "mean word length"
    assert (
        gopher_fault(" ".join(["the", "and"] + ["abcdefghijkl"] * 60), QUIET) == "mean word length"
    )


def test_symbols_for_each_word() -> None:
    words = plain(100)
    assert gopher_fault(" ".join(words) + "#" * 10, QUIET) == ""
    assert gopher_fault(" ".join(words) + "#" * 11, QUIET) == "hash signs"
    assert gopher_fault(" ".join(words) + "…" * 5 + "..." * 6, QUIET) == "ellipses"


def test_bullets_and_ellipses_at_the_edges_of_lines() -> None:
    words = plain(100)
    lines = [" ".join(words[n : n + 10]) for n in range(0, 100, 10)]
    bullets = [f"• {line}" for line in lines]
    assert gopher_fault("\n".join([*bullets[:9], lines[9]]), QUIET) == ""
    assert gopher_fault("\n".join(bullets), QUIET) == "bullet lines"
    trailing = [f"{line}…" for line in lines]
    assert gopher_fault("\n".join(trailing[:3] + lines[3:]), QUIET) == ""
    assert gopher_fault("\n".join(trailing[:4] + lines[4:]), QUIET) == "ellipsis lines"


def test_words_without_letters() -> None:
    words = plain(80)
    assert gopher_fault(" ".join(words + ["1234"] * 20), QUIET) == ""
    assert gopher_fault(" ".join(words + ["1234"] * 21), QUIET) == "words without letters"


def test_stop_words_count_once_each() -> None:
    words = [word for word in plain(100) if word != "and"]
    assert gopher_fault(" ".join([*words, "the"]), QUIET) == "stop words"
    assert gopher_fault(" ".join([*words, "(With"]), QUIET) == ""


def fault_of(text: str, **limits: object) -> str:
    """Only the limits given apply."""
    off: dict[str, object] = {
        name: 1.0 for name in vars(GopherSpec()) if name.startswith("max_duplicate")
    }
    off |= {"max_top_ngram": {}, "max_duplicate_ngrams": {}}
    return repetition_fault(text, text.split(), GopherSpec(**{**off, **limits}))  # type: ignore[arg-type]


def test_duplicate_lines_and_paragraphs() -> None:
    lines = [f"line {n}" for n in range(7)]
    assert fault_of("\n".join(lines + lines[:3]), max_duplicate_lines=0.3) == ""
    assert fault_of("\n".join(lines + lines[:4]), max_duplicate_lines=0.3) == "duplicate lines"
    assert fault_of("\n\n".join(lines + lines[:3]), max_duplicate_paragraphs=0.3) == ""
    text = "\n\n".join(lines + lines[:4])
    assert fault_of(text, max_duplicate_paragraphs=0.3) == "duplicate paragraphs"


def test_characters_in_duplicate_lines() -> None:
    text = "\n".join(["x" * 40, "y" * 20, "y" * 20])
    assert fault_of(text, max_duplicate_line_chars=0.25) == ""
    assert fault_of(text, max_duplicate_line_chars=0.24) == "duplicate lines"


def test_commonest_run_counts_each_word_once() -> None:
    # "a a" begins at three places of "a a a a", which it covers once: 4 of 10 characters.
    text = "a a a a bbb ccc"
    assert fault_of(text, max_top_ngram={2: 0.4}) == ""
    assert fault_of(text, max_top_ngram={2: 0.39}) == "commonest 2-gram"


def test_a_run_that_occurs_once_is_not_common() -> None:
    assert fault_of("one two three four", max_top_ngram={2: 0.0}) == ""


def test_duplicate_runs_count_from_their_second_occurrence() -> None:
    # Ten words, the last five repeat the first five: half of the characters.
    text = "aa bb cc dd ee aa bb cc dd ee"
    assert fault_of(text, max_duplicate_ngrams={5: 0.5}) == ""
    assert fault_of(text, max_duplicate_ngrams={5: 0.49}) == "duplicate 5-grams"
    assert fault_of(text, max_duplicate_ngrams={6: 0.0}) == ""


GOOD_LINES = "\n".join(["The first line says something."] * 3)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD_LINES, ""),
        (GOOD_LINES + "\nint main() { return 0; }", "curly bracket"),
        (GOOD_LINES + "\nLorem Ipsum dolor sit amet here.", "lorem ipsum"),
        ("The first line says something.\n" * 2, "too few sentences"),
        ("The first line says something\n" * 9, "too few sentences"),
        ("Too short. Too short. Yes.\n" * 9, ""),  # five words: kept, three sentences a line
        ("Too short.\n" * 9, "too few sentences"),
        ("You must enable Javascript for this page.\n" * 9, "too few sentences"),
        ("This page of ours uses cookies.\n" * 9, "too few sentences"),
        (GOOD_LINES + "\n" + "menu " * 200, "too few good lines"),
    ],
)
def test_c4(text: str, fault: str) -> None:
    assert c4_rule(C4Spec())(text) == fault


def test_c4_bad_words_are_whole_words_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "bad.txt"
    file.write_text("darn\nvery bad\n")
    rule = c4_rule(C4Spec(bad_words=str(file)))
    assert rule(GOOD_LINES + " Darn!") == rule(GOOD_LINES + " very bad.") == "bad word"
    assert rule(GOOD_LINES + " darning.") == ""
    with pytest.raises(DataError, match=r"quality\.c4\.bad_words: .*cannot be read"):
        c4_rule(C4Spec(bad_words=str(tmp_path / "gone")))


GERMAN = "Der Hund lief durch den Wald und suchte nach seinem Herrn, der nicht zu finden war. " * 3
ENGLISH = "The dog ran through the forest and looked for his master, who was not to be found. " * 3


def test_language() -> None:
    pytest.importorskip("py3langid")
    rule = language_rule(LanguageSpec(True, keep=["en"]))
    assert rule(ENGLISH) == "" and rule(GERMAN) == "another language"
    assert language_rule(LanguageSpec(True, keep=["en", "de"]))(GERMAN) == ""
    assert language_rule(LanguageSpec(True, min_probability=1.0))("a b") != ""
    with pytest.raises(DataError, match=r"quality\.language\.keep: 'english' is unknown"):
        language_rule(LanguageSpec(True, keep=["english"]))
