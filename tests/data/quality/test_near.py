"""Near-duplicates: planted ones are found, and what is claimed is true."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rensa")

from bitnet.data.quality import NearSpec, QualitySpec
from bitnet.data.quality.near import band_rows, bands, later_duplicates, shingles, signatures
from bitnet.data.quality.run import run_quality
from bitnet.data.quality.words import Hashes, word_hashes, words_of
from tests.data.quality.prose import OUTSIDE, corpus, documents, edited

KINDS = ("words", "tail", "case")


def runs_of(text: str) -> Hashes:
    return shingles(word_hashes(words_of(text)), 5)


def jaccard(one: Hashes, two: Hashes) -> float:
    common = len(np.intersect1d(one, two, assume_unique=True))
    return common / (len(one) + len(two) - common)


def test_similarity_is_estimated_without_bias() -> None:
    draw = random.Random(1)
    pairs = [(text, edited(text, draw.choice(KINDS), draw)) for text in documents(150)]
    sets = [runs_of(text) for pair in pairs for text in pair]
    rows = signatures(sets, 128)
    exact = np.array([jaccard(a, b) for a, b in zip(sets[::2], sets[1::2], strict=True)])
    error = (rows[::2] == rows[1::2]).mean(axis=1) - exact
    assert abs(error.mean()) < 0.01 and error.std() < 0.04


@pytest.mark.parametrize("permutations", [64, 128, 256])
@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_bands_propose_pairs_at_the_threshold(permutations: int, threshold: float) -> None:
    spec = NearSpec(True, permutations=permutations, threshold=threshold)
    width = band_rows(spec)

    def chance(rows: int) -> float:
        return float(1 - (1 - threshold**rows) ** (permutations // rows))

    assert chance(width) >= 0.99 > chance(width + 1)


def found(texts: list[str], spec: NearSpec, held: list[int] | None = None) -> list[int]:
    rows = signatures([runs_of(text) for text in texts], spec.permutations)
    keep = np.zeros(len(texts), bool)
    keep[held or []] = True
    order = np.argsort(~keep, kind="stable")
    groups = np.zeros(len(texts), np.int64)
    return later_duplicates(bands(rows, spec), rows, order, groups, spec.threshold, keep).tolist()


def test_the_first_stands_for_its_copies_and_no_chain_is_followed() -> None:
    words = documents(1, sentences=60)[0].split()
    # Each is like its neighbours, but the ends of the chain are not like each other.
    chain = [" ".join(words[n * 30 : n * 30 + 500]) for n in range(5)]
    spec = NearSpec(True, threshold=0.8)
    near = [jaccard(runs_of(chain[0]), runs_of(text)) for text in chain]
    assert near[1] > 0.87 and near[2] < 0.8
    assert found(chain, spec) == [-1, 0, -1, 2, -1]


def test_a_held_out_document_stands_for_an_earlier_one() -> None:
    text = documents(1)[0]
    other = edited(text, "tail", random.Random(0))
    assert found([text, other], NearSpec(True)) == [-1, 0]
    assert found([text, other], NearSpec(True), held=[1]) == [1, -1]
    assert found([text, other], NearSpec(True), held=[0, 1]) == [-1, -1]


def mixed_sample(count: int) -> dict[str, list[str]]:
    """Real documents of several kinds where they lie, generated ones elsewhere."""
    folder = OUTSIDE / "redpajama-mini"
    if not folder.is_dir():
        return {name: documents(count, seed) for seed, name in enumerate(("web", "books", "wiki"))}
    names = ("common_crawl", "c4", "github", "arxiv", "stackexchange", "wikipedia")
    return {name: list(first_texts(folder / f"{name}.jsonl.zst", count)) for name in names}


def first_texts(file: Path, count: int) -> Iterator[str]:
    import zstandard

    with file.open("rb") as raw:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), "utf-8")
        texts = (json.loads(line)["text"] for line in lines)
        short = (text for text in texts if len(text) < 20_000)
        yield from (text for text, _ in zip(short, range(count), strict=False))


def test_planted_duplicates_are_found_and_nothing_else(tmp_path: Path) -> None:
    draw, texts, planted = random.Random(3), mixed_sample(250), set()
    for name, some in texts.items():
        for original in draw.sample(some, 40):
            for kind in KINDS:
                copy = edited(original, kind, draw)
                runs = runs_of(original)
                if len(runs) >= 40 and jaccard(runs, runs_of(copy)) >= 0.88:
                    planted.add((name, len(some)))
                    some.append(copy)
    assert len(planted) > 200
    sources = corpus(tmp_path / "corpus", texts)
    spec = QualitySpec(near=NearSpec(True))
    verdicts = run_quality(spec, sources, 1 << 30, tmp_path / "out", 1, 1e-9)
    dropped = {(name, number) for name in texts for number in verdicts.dropped(name, 0)}
    assert len(planted & dropped) / len(planted) >= 0.95
    # Whatever else is dropped must be like a document that stays, in truth and not by estimate.
    stays = [
        runs_of(text)
        for name, some in texts.items()
        for number, text in enumerate(some)
        if (name, number) not in dropped
    ]
    true = sum(
        max(jaccard(runs_of(texts[name][number]), other) for other in stays) >= 0.8
        for name, number in dropped - planted
    )
    assert (len(planted & dropped) + true) / len(dropped) >= 0.95


def test_documents_of_different_sources_may_be_left_alone(tmp_path: Path) -> None:
    text = documents(1)[0]
    sources = corpus(tmp_path / "corpus", {"a": [text, text + " More."], "b": [text]})
    for across, dropped in ((True, [1, 1]), (False, [1, 0])):
        spec = QualitySpec(near=NearSpec(True, across_sources=across))
        verdicts = run_quality(spec, sources, 1 << 30, tmp_path / str(across), 1, 1e-9)
        assert [len(verdicts.dropped(name, 0)) for name in ("a", "b")] == dropped


def test_documents_without_words_are_no_duplicates(tmp_path: Path) -> None:
    sources = corpus(tmp_path / "corpus", {"a": ["!!! ???", "... ---", "?!"]})
    spec = QualitySpec(near=NearSpec(True))
    assert not run_quality(spec, sources, 1 << 30, tmp_path / "out", 1, 1e-9).dropped("a", 0)
