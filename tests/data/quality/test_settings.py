"""Unusable settings and missing libraries are told in one line, before anything is read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bitnet.data import DataError, Source
from bitnet.data.quality import (
    C4Spec,
    DecontaminateSpec,
    GopherSpec,
    LanguageSpec,
    NearSpec,
    QualitySpec,
    ScoresSpec,
)
from bitnet.data.quality.run import run_quality


def test_a_missing_library_is_named_with_its_extra(
    mixed: dict[str, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step, library, spec in (
        ("near", "rensa", QualitySpec(near=NearSpec(True))),
        ("language", "py3langid", QualitySpec(language=LanguageSpec(True))),
    ):
        for module in (library, f"{library}.langid"):
            monkeypatch.setitem(sys.modules, module, None)
        expected = rf"quality\.{step}: needs the library {library}.*bitnet\[quality\]"
        with pytest.raises(DataError, match=expected):
            run_quality(spec, mixed, 1 << 30, tmp_path / step, 1, 0.1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (QualitySpec(near=NearSpec(True, threshold=1.5)), "near.threshold: 1.5 is not between"),
        (QualitySpec(near=NearSpec(ngram=0)), "near.ngram: 0 is not"),
        (QualitySpec(c4=C4Spec(min_kept=2.0)), "c4.min_kept: 2.0 is not between 0 and 1"),
        (QualitySpec(gopher=GopherSpec(min_words=9, max_words=8)), "gopher.min_words: 9 is above"),
        (QualitySpec(language=LanguageSpec(keep=[])), "language.keep: is empty"),
        (QualitySpec(decontaminate=DecontaminateSpec(True)), "decontaminate.benchmarks: is empty"),
        (QualitySpec(scores=ScoresSpec(True, folder="x")), "scores.top_fraction, threshold, tok"),
        (
            QualitySpec(scores=ScoresSpec(True, folder="x", top_fraction=0.1, threshold=0.1)),
            "scores.top_fraction, threshold, tok",
        ),
        (
            QualitySpec(scores=ScoresSpec(True, folder="x", threshold=0.1, per_source=True)),
            "scores.per_source: goes with top_fraction",
        ),
    ],
)
def test_unusable_values_are_named(
    spec: QualitySpec, message: str, mixed: dict[str, Source], tmp_path: Path
) -> None:
    assert [line for line in spec.problems() if line.startswith(message)]
    with pytest.raises(DataError, match=r"^quality\."):
        run_quality(spec, mixed, 1 << 30, tmp_path / "out", 1, 0.1)


def test_all_defaults_are_off_and_sound() -> None:
    assert not QualitySpec().enabled and not QualitySpec().problems()
    assert [name for name, _ in QualitySpec().steps()] == (
        "gopher c4 language scores exact near decontaminate".split()
    )
