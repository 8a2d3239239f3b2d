"""Benchmark items are found in whatever they are wrapped."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

from bitnet.data import DataError
from bitnet.data.quality import DecontaminateSpec, QualitySpec
from bitnet.data.quality.decontaminate import build_index
from bitnet.data.quality.run import run_quality
from bitnet.data.quality.words import word_hashes, words_of
from tests.data.quality.prose import OUTSIDE, corpus, document, documents, sentence

QUESTION = "Which of these small animals sleeps through the winter in a hole under the ground?"


def index(file: Path, **values: object) -> DecontaminateSpec:
    return DecontaminateSpec(True, benchmarks=[str(file)], **values)  # type: ignore[arg-type]


def words_found(spec: DecontaminateSpec, text: str) -> int:
    return build_index(spec).find(word_hashes(words_of(text)))[0]


def jsonl(path: Path, *items: object) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), "utf-8")
    return path


def test_an_item_is_found_inside_other_text_in_other_case_and_punctuation(tmp_path: Path) -> None:
    spec = index(jsonl(tmp_path / "b.jsonl", {"question": QUESTION}))
    changed = QUESTION.upper().replace(" ", " - ").replace("?", "!!")
    text = f"{document(random.Random(1))} {changed} {document(random.Random(2))}"
    assert words_found(spec, text) == 15
    assert words_found(spec, text.replace("WINTER", "SUMMER")) == 0


def test_thirteen_words_are_enough_and_twelve_are_not(tmp_path: Path) -> None:
    spec = index(jsonl(tmp_path / "b.jsonl", {"question": QUESTION}))
    words = QUESTION.split()
    assert words_found(spec, "x " + " ".join(words[1:14]) + " y") == 13
    assert words_found(spec, "x " + " ".join(words[1:13]) + " y") == 0


def test_short_items_are_looked_for_whole_and_shorter_ones_counted_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    eight, seven = "one two three four five six seven eight", "a b c d e f g"
    spec = index(jsonl(tmp_path / "b.jsonl", {"q": eight, "r": seven}))
    assert words_found(spec, f"x {eight} y") == 8
    assert words_found(spec, f"x {seven} y") == 0
    built = build_index(spec)
    assert (built.texts, built.too_short) == (1, 1)
    assert "1 benchmark texts of fewer than 8 words are not looked for, 1 are" in caplog.text


def test_runs_do_not_cross_the_texts_of_an_item(tmp_path: Path) -> None:
    one, two = "a b c d e f g h i j k l m n", "o p q r s t u v w x y z aa bb"
    spec = index(jsonl(tmp_path / "b.jsonl", {"question": one, "answer": two}))
    assert words_found(spec, "c d e f g h i j k l m n o") == 0
    assert words_found(spec, "h i j k l m n o p q r s t u") == 0
    assert words_found(spec, f"{one} {two}") == 28


def test_fields_lists_and_inner_keys(tmp_path: Path) -> None:
    inner = {"targets": {QUESTION: 1}, "choices": [{"text": QUESTION[::-1]}], "id": "x"}
    file = jsonl(tmp_path / "b.jsonl", inner)
    assert words_found(index(file), QUESTION) == 15
    assert words_found(index(file, fields=["targets"]), QUESTION[::-1]) == 0
    assert words_found(index(file, fields=["choices"]), QUESTION[::-1]) == 15
    with pytest.raises(DataError, match=r"b\.jsonl: item 1: field 'choice' is unknown .*'choices'"):
        build_index(index(file, fields=["choice"]))


def test_tables_and_lines(tmp_path: Path) -> None:
    with (tmp_path / "b.csv").open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerows([["Question", "Answer"], [QUESTION, "the badger, of course"]])
    (tmp_path / "b.txt").write_text(f"{QUESTION}\n\n")
    assert words_found(index(tmp_path / "b.csv", fields=["Question"]), QUESTION) == 15
    assert words_found(index(tmp_path / "b.txt"), QUESTION) == 15


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b.json", "{}", r"'.*b\.json' is none of \.jsonl, \.csv, \.txt"),
        ("b.jsonl", "{broken", "cannot be read"),
        ("b.jsonl", "[1]\n", "item 1 is a list, not an object"),
        ("b.txt", "short\n", "holds no text of at least 8 words"),
    ],
)
def test_unusable_files(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=rf"quality\.decontaminate\.benchmarks: .*{message}"):
        build_index(index(tmp_path / name))


def test_a_share_may_be_let_pass(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "b.jsonl", {"question": QUESTION})
    text = QUESTION + " " + " ".join(f"w{n}" for n in range(85))
    sources = corpus(tmp_path / "corpus", {"a": [text]})
    for share, gone in ((0.0, 1), (0.149, 1), (0.151, 0)):
        spec = QualitySpec(decontaminate=index(file, max_share=share))
        verdicts = run_quality(spec, sources, 1 << 30, tmp_path / f"{share}", 1, 1e-9)
        assert len(verdicts.dropped("a", 0)) == gone


def items_of_a_benchmark(folder: Path) -> tuple[Path, list[str]]:
    """A real benchmark where one lies, else one made here; and the texts to plant."""
    real = OUTSIDE / "bench" / "gsm8k_test.jsonl"
    if real.is_file():
        lines = real.read_text("utf-8").splitlines()
        return real, [json.loads(line)["question"] for line in lines]
    draw = random.Random(9)
    texts = [sentence(draw) + " " + sentence(draw) for _ in range(300)]
    return jsonl(folder / "made.jsonl", *({"question": text} for text in texts)), texts


def test_planted_items_are_found_and_nothing_else(tmp_path: Path) -> None:
    file, items = items_of_a_benchmark(tmp_path)
    draw, clean = random.Random(4), documents(300)
    planted = {}
    for number, item in enumerate(draw.sample(items, 100)):
        place = number * 3
        changed = item if number % 2 else item.swapcase().replace(".", " !").replace(",", ";")
        halves = clean[place].split("\n", 1)
        clean[place] = f"{halves[0]} {changed} {halves[1]}"
        planted[place] = f"decontaminate: {file.name}"
    sources = corpus(tmp_path / "corpus", {"a": clean})
    spec = QualitySpec(decontaminate=index(file))
    verdicts = run_quality(spec, sources, 1 << 30, tmp_path / "out", 1, 1e-9)
    assert dict(verdicts.dropped("a", 0)) == planted
