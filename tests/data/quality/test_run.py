"""The steps together: order, report, held-out documents, going on after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitnet.data import DataError, Source
from bitnet.data.documents import Kind, judge
from bitnet.data.quality import (
    DecontaminateSpec,
    ExactSpec,
    GopherSpec,
    NearSpec,
    QualitySpec,
    Verdicts,
)
from bitnet.data.quality import run as running
from bitnet.data.quality.reading import UnitReader
from bitnet.data.quality.run import run_quality
from bitnet.data.records import Record
from tests.data.quality.prose import corpus, documents

RANGE = 20_000


def run(spec: QualitySpec, sources: dict[str, Source], folder: Path, workers: int = 1) -> Verdicts:
    return run_quality(spec, sources, RANGE, folder, workers, 0.1)


def all_dropped(verdicts: Verdicts, sources: dict[str, Source]) -> dict[tuple[str, int, int], str]:
    return {
        (name, unit, number): reason
        for name, source in sources.items()
        for unit in range(len(source.units(RANGE)))
        for number, reason in verdicts.dropped(name, unit).items()
    }


def held_out(sources: dict[str, Source]) -> set[tuple[str, int, int]]:
    return {
        (name, unit, record.number)
        for name, source in sources.items()
        for unit, place in enumerate(source.units(RANGE))
        for record in source.read(place)
        if judge(record, 0.1).kind is Kind.HELD_OUT
    }


ALL = QualitySpec(exact=ExactSpec(True), near=NearSpec(True), gopher=GopherSpec(True))


def test_every_document_is_accounted_for(mixed: dict[str, Source], tmp_path: Path) -> None:
    verdicts = run(ALL, mixed, tmp_path / "out")
    report, dropped = verdicts.report(), all_dropped(verdicts, mixed)
    for name, documents_there in (("a", 111), ("b", 90)):  # the empty one is none
        assert sum(tally.documents for tally in report[name].values()) == documents_there
        mine = [reason for (source, _, _), reason in dropped.items() if source == name]
        for reason, tally in report[name].items():
            assert reason in ("kept", "held out") or mine.count(reason) == tally.documents
    assert report["a"]["gopher: too few words"].documents == 1
    exact = sum(report[name]["exact: duplicate"].documents for name in "ab")
    near = sum(tally.documents for reason, tally in report["a"].items() if "near" in reason)
    assert 15 <= exact <= 20 and 15 <= near <= 20  # twenty each, but for held-out ones


def test_held_out_documents_stay_and_their_like_goes(
    mixed: dict[str, Source], tmp_path: Path
) -> None:
    verdicts = run(ALL, mixed, tmp_path / "out")
    dropped, held = all_dropped(verdicts, mixed), held_out(mixed)
    assert held and not held & dropped.keys()
    assert "near: like a held-out document" in dropped.values()


def test_workers_change_nothing(mixed: dict[str, Source], tmp_path: Path) -> None:
    one, two = run(ALL, mixed, tmp_path / "one"), run(ALL, mixed, tmp_path / "two", workers=2)
    assert all_dropped(one, mixed) == all_dropped(two, mixed)
    assert one.report() == two.report()


def test_a_killed_run_reads_no_finished_unit_again(
    mixed: dict[str, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = all_dropped(run(ALL, mixed, tmp_path / "whole"), mixed)
    read: list[tuple[str, int]] = []
    real = UnitReader.read

    def failing(self: UnitReader, source: Source, unit: object) -> object:
        if len(read) == 3:
            raise KeyboardInterrupt
        read.append((source.name, unit.start))  # type: ignore[attr-defined]
        return real(self, source, unit)  # type: ignore[arg-type]

    monkeypatch.setattr(UnitReader, "read", failing)
    with pytest.raises(KeyboardInterrupt):
        run(ALL, mixed, tmp_path / "out")
    units = sum(len(source.units(RANGE)) for source in mixed.values())
    assert len(read) == 3 < units
    read.insert(0, ("", 0))  # now the fourth passes, and every one after it
    monkeypatch.setattr(UnitReader, "read", lambda *given: (read.append(given[1]), real(*given))[1])
    assert all_dropped(run(ALL, mixed, tmp_path / "out"), mixed) == whole
    assert len(read) == 1 + units
    run(ALL, mixed, tmp_path / "out")
    assert len(read) == 1 + units


def test_other_settings_or_files_are_refused(mixed: dict[str, Source], tmp_path: Path) -> None:
    run(ALL, mixed, tmp_path / "out")
    other = QualitySpec(exact=ExactSpec(True), near=NearSpec(True, threshold=0.7))
    with pytest.raises(DataError, match=r"quality\.near\.threshold was 0\.8, is 0\.7"):
        run(other, mixed, tmp_path / "out")
    fewer = {"a": mixed["a"]}
    with pytest.raises(DataError, match=r"data\.b was .*, is absent"):
        run(ALL, fewer, tmp_path / "out")


def test_a_changed_benchmark_is_refused(mixed: dict[str, Source], tmp_path: Path) -> None:
    file = tmp_path / "items.txt"
    file.write_text("one two three four five six seven eight\n")
    spec = QualitySpec(decontaminate=DecontaminateSpec(True, benchmarks=[str(file)]))
    run(spec, mixed, tmp_path / "out")
    file.write_text("one two three four five six seven nine\n")
    with pytest.raises(DataError, match=r"quality\.file\.items\.txt was"):
        run(spec, mixed, tmp_path / "out")


def test_a_step_applies_to_its_sources_only(mixed: dict[str, Source], tmp_path: Path) -> None:
    spec = QualitySpec(gopher=GopherSpec(True, ["b"], min_words=10**4, max_words=10**5))
    verdicts = run(spec, mixed, tmp_path / "out")
    report = verdicts.report()
    assert report["b"]["kept"].documents == 0 and report["a"].keys() == {"kept", "held out"}
    assert not held_out(mixed) & all_dropped(verdicts, mixed).keys()
    wrong = QualitySpec(gopher=GopherSpec(True, ["c4x"]))
    with pytest.raises(DataError, match=r"quality\.gopher\.sources: 'c4x' is unknown"):
        run(wrong, mixed, tmp_path / "wrong")


def test_exact_duplicates_of_other_sources_are_not_those_of_spared_ones(tmp_path: Path) -> None:
    text = documents(1)[0]
    sources = corpus(tmp_path / "corpus", {"a": [text], "b": [text], "c": [text]})
    spec = QualitySpec(exact=ExactSpec(True, ["b", "c"]))
    verdicts = run_quality(spec, sources, RANGE, tmp_path / "out", 1, 1e-9)
    assert [len(verdicts.dropped(name, 0)) for name in "abc"] == [0, 0, 1]


def test_a_long_document_is_judged_by_its_beginning(
    mixed: dict[str, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, item = documents(3)
    words = item.split()[:20]
    (tmp_path / "items.txt").write_text(" ".join(words) + "\n")
    spec = QualitySpec(
        gopher=GopherSpec(True),
        exact=ExactSpec(True),
        decontaminate=DecontaminateSpec(True, benchmarks=[str(tmp_path / "items.txt")]),
    )
    parts = {
        0: [one, "bad bad"],  # rules look at the first part only
        1: [one, "bad bad"],  # the same again
        2: [one, "other"],  # not the same: its end differs
        3: [two, " ".join(words[:10]), " ".join(words[10:])],  # an item across a border
    }
    records = [
        Record(number, text, "", 0, part=part, last=part == len(texts) - 1)
        for number, texts in parts.items()
        for part, text in enumerate(texts)
    ]
    monkeypatch.setattr(Source, "read", lambda self, unit, selection=None: iter(records))
    examined = UnitReader(spec, 1e-9).read(mixed["a"], mixed["a"].units(1 << 30)[0])
    assert examined.number.tolist() == [0, 1, 2, 3] and examined.fault.tolist() == [-1] * 4
    assert len({bytes(row) for row in examined.exact[:3]}) == 2
    assert examined.benchmark.tolist() == [-1, -1, -1, 0]
    assert examined.size.tolist()[2] == len(one) + len("other")


def test_progress_is_told(mixed: dict[str, Source], tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    tell = lambda what, now, of: told.append((what, now, of))  # noqa: E731
    running.run_quality(ALL, mixed, RANGE, tmp_path / "out", 1, 0.1, tell)
    units = sum(len(source.units(RANGE)) for source in mixed.values())
    assert told[: units + 1] == [("reading", n, units) for n in range(units + 1)]
    assert told[-1] == ("deciding", 1, 1)
