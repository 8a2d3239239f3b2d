"""Scores on the disk, and the rules that select by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitnet.data import DataError, Source
from bitnet.data.quality import QualitySpec, ScoresSpec
from bitnet.data.quality.identity import corpus_identity
from bitnet.data.quality.run import run_quality
from bitnet.data.quality.scores import ROW, ScoreFolder
from bitnet.data.quality.selection import documents_of, selected
from tests.data.quality.prose import corpus, documents


def rows(*values: tuple[int, float, int]) -> np.ndarray:
    return np.array(list(values), ROW)


SCORES = np.array([0.5, 0.9, 0.5, 0.1, 0.5, 0.9])
TOKENS = np.array([10, 20, 30, 40, 50, 60])
GROUPS = np.array([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        (ScoresSpec(threshold=0.5), [0, 1, 2, 4, 5]),
        (ScoresSpec(threshold=0.51), [1, 5]),
        (ScoresSpec(top_fraction=0.5), [0, 1, 5]),  # of three equal scores the first
        (ScoresSpec(top_fraction=0.0), []),
        (ScoresSpec(top_fraction=1.0), [0, 1, 2, 3, 4, 5]),
        (ScoresSpec(top_fraction=0.34), [0, 1, 5]),  # 2.04 documents are three
        (ScoresSpec(top_fraction=0.34, per_source=True), [0, 1, 4, 5]),
        (ScoresSpec(token_budget=80), [1, 5]),
        (ScoresSpec(token_budget=90), [0, 1, 5]),
        (ScoresSpec(token_budget=119), [0, 1, 5]),  # the next has 30; what comes later waits too
        (ScoresSpec(token_budget=120), [0, 1, 2, 5]),
        (ScoresSpec(token_budget=19), []),
    ],
)
def test_rules_are_exact(spec: ScoresSpec, kept: list[int]) -> None:
    assert np.flatnonzero(selected(SCORES, TOKENS, GROUPS, spec)).tolist() == kept


def test_shares_of_round_numbers_are_not_off_by_one() -> None:
    assert 0.07 * 100 > 7  # in binary fractions
    for count in (100, 300, 700, 1000):
        for percent in range(101):
            assert documents_of(percent / 100, count) == count * percent // 100


def test_a_torn_row_is_cut_off_and_nothing_else(tmp_path: Path) -> None:
    folder = ScoreFolder.begin(tmp_path, {"a": 1})
    folder.unit("web", 0).append(rows((4, 0.5, 7), (2, 0.25, 9)))
    part = tmp_path / "web" / "000000.scores.part"
    part.write_bytes(part.read_bytes() + b"torn")
    again = ScoreFolder.begin(tmp_path, {"a": 1}).unit("web", 0)
    assert again.numbers() == {2, 4} and not again.finished
    with pytest.raises(DataError, match="has no scores of part 0 of web"):
        folder.read("web", 0)
    again.append(rows((3, 0.75, 1)))
    again.finish()
    assert folder.read("web", 0)["number"].tolist() == [2, 3, 4]
    assert folder.read("web", 0)["score"].tolist() == [0.25, 0.75, 0.5]
    assert not part.exists() and folder.unit("web", 0).finished


def test_a_kill_while_finishing_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = ScoreFolder.begin(tmp_path, {}).unit("web", 0)
    unit.append(rows((1, 0.5, 7)))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            unit.finish()
    again = ScoreFolder.begin(tmp_path, {}).unit("web", 0)
    assert again.numbers() == {1} and not again.finished
    again.finish()
    assert again.finished


def test_scores_of_another_making_are_refused(tmp_path: Path) -> None:
    ScoreFolder.begin(tmp_path, {"scorer.model": "one", "x": 1})
    with pytest.raises(DataError, match=r"scorer\.model was one, is two; x was 1, is absent"):
        ScoreFolder.begin(tmp_path, {"scorer.model": "two"})
    with pytest.raises(DataError, match="holds no scores"):
        ScoreFolder.open(tmp_path / "nowhere")


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Source]:
    texts = documents(30)
    return corpus(tmp_path / "corpus", {"a": texts[:20], "b": texts[20:]})


def give_scores(folder: Path, sources: dict[str, Source], range_bytes: int = 1 << 30) -> None:
    """Document n of a source gets the score n / 100 and 10 tokens."""
    made = ScoreFolder.begin(folder, corpus_identity(sources, range_bytes))
    for name, source in sources.items():
        for number, unit in enumerate(source.units(range_bytes)):
            given = [(r.number, r.number / 100, 10) for r in source.read(unit)]
            one = made.unit(name, number)
            one.append(rows(*given))
            one.finish()


def kept(spec: ScoresSpec, sources: dict[str, Source], out: Path) -> dict[str, list[int]]:
    verdicts = run_quality(QualitySpec(scores=spec), sources, 1 << 30, out, 1, 1e-9)
    counts = {"a": 20, "b": 10}
    gone = {name: verdicts.dropped(name, 0) for name in sources}
    return {name: [n for n in range(counts[name]) if n not in gone[name]] for name in sources}


def test_prepare_keeps_what_is_selected(sources: dict[str, Source], tmp_path: Path) -> None:
    give_scores(tmp_path / "s", sources)
    folder = str(tmp_path / "s")
    found = kept(ScoresSpec(True, folder=folder, top_fraction=0.2), sources, tmp_path / "1")
    assert found == {"a": [14, 15, 16, 17, 18, 19], "b": []}
    spec = ScoresSpec(True, folder=folder, top_fraction=0.2, per_source=True)
    assert kept(spec, sources, tmp_path / "2") == {"a": [16, 17, 18, 19], "b": [8, 9]}
    spec = ScoresSpec(True, ["b"], folder=folder, token_budget=30)
    assert kept(spec, sources, tmp_path / "3") == {"a": list(range(20)), "b": [7, 8, 9]}


def test_scores_of_other_files_or_ranges_are_refused(
    sources: dict[str, Source], tmp_path: Path
) -> None:
    give_scores(tmp_path / "s", sources, range_bytes=1000)
    spec = ScoresSpec(True, folder=str(tmp_path / "s"), threshold=0.1)
    with pytest.raises(DataError, match=r"quality\.scores\.folder.*range_bytes was 1000, is"):
        kept(spec, sources, tmp_path / "out")


def test_scores_of_some_sources_serve_those(sources: dict[str, Source], tmp_path: Path) -> None:
    give_scores(tmp_path / "s", {"b": sources["b"]})
    spec = ScoresSpec(True, ["b"], folder=str(tmp_path / "s"), threshold=0.05)
    assert kept(spec, sources, tmp_path / "1")["b"] == [5, 6, 7, 8, 9]
    spec = ScoresSpec(True, folder=str(tmp_path / "s"), threshold=0.05)
    with pytest.raises(DataError, match=r"data\.a was absent"):
        kept(spec, sources, tmp_path / "2")
