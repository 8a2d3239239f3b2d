"""Folders of a sweep's jobs: found again by what the job is, not by its number."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitnet.runs import RunError
from bitnet.runs.sweep import collect, write
from bitnet.runs.sweep_jobs import (
    JobNote,
    assign,
    clear,
    final_loss,
    noted_jobs,
    owners,
    place_alone,
    read_note,
    standing,
)
from tests.runs.synthetic import make_run


def names(folders: list[Path]) -> list[str]:
    return [folder.name for folder in folders]


def note(folder: Path, identity: str, **changes: object) -> JobNote:
    return JobNote(int(folder.name), identity, ["seed=1"]).write(folder, **changes)


def test_jobs_keep_their_folders_when_the_sweep_changes(tmp_path: Path) -> None:
    assert names(assign(tmp_path, ["a", "b"], 0)) == ["0", "1"]
    note(tmp_path / "0", "a")
    make_run(tmp_path / "1", asked_id="b")
    # In another order, with a new one between: the new one gets the next free number.
    assert names(assign(tmp_path, ["b", "new", "a"], 0)) == ["1", "2", "0"]
    assert names(assign(tmp_path, ["a", "b"], 0)) == ["0", "1"]
    assert owners(tmp_path) == {"a": [tmp_path / "0"], "b": [tmp_path / "1"]}


def test_the_same_job_twice_has_two_folders(tmp_path: Path) -> None:
    for folder in assign(tmp_path, ["a", "a"], 0):
        note(folder, "a")
    assert names(assign(tmp_path, ["a", "a", "a"], 0)) == ["0", "1", "2"]


def test_a_folder_of_somebody_else_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "notes.txt").write_text("mine")
    make_run(tmp_path / "2")  # a run of before there were identities
    assert names(assign(tmp_path, ["a", "b"], 0)) == ["0", "3"]


def test_jobs_that_cannot_see_each_other_do_not_collide(tmp_path: Path) -> None:
    note(tmp_path / "0", "a")
    known = owners(tmp_path)
    assert place_alone(tmp_path, known, "a", 0).name == "0"
    assert place_alone(tmp_path, known, "a", 3).name == "0"
    assert place_alone(tmp_path, known, "b", 0).name == "0-b"
    assert place_alone(tmp_path, known, "b", 1).name == "1"


def test_how_far_a_job_is(tmp_path: Path) -> None:
    assert standing(tmp_path / "0") == "new"
    for name, state in enumerate(("running", "failed", "interrupted", "pruned", "finished")):
        make_run(tmp_path / str(name), state=state)
    found = [standing(tmp_path / str(n)) for n in range(5)]
    assert found == ["unfinished"] * 3 + ["pruned", "finished"]
    assert final_loss(tmp_path / "4") == pytest.approx(3.0, abs=0.01)
    clear(tmp_path / "0")
    assert standing(tmp_path / "0") == "new"
    make_run(tmp_path / "0")


def test_notes_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for n in (10, 2, 0):
        note(tmp_path / str(n), str(n), state="failed", error="no")
    (tmp_path / "2" / "job.json").write_text('{"number": 2}')
    with pytest.raises(RunError, match="not the note of a job"):
        read_note(tmp_path / "2")
    assert [found.number for _, found in noted_jobs(tmp_path)] == [0, 10]
    assert noted_jobs(tmp_path / "nowhere") == []


def test_a_job_that_never_became_a_run_is_in_the_table(tmp_path: Path) -> None:
    for n, (kind, vocabulary) in enumerate((("bitnet", None), ("dense", None), ("dense", 100))):
        config = {"linear": {"kind": kind}, "model": {"vocab_size": vocabulary, "dim": 64}}
        known = JobNote(n, str(n), [], config=config)
        if vocabulary is None:
            settled = f"linear: {{kind: {kind}}}\nmodel: {{vocab_size: 320, dim: 64}}\n"
            make_run(tmp_path / str(n), settled, loss=3 - n, parameters={"total": 1234})
            known.write(tmp_path / str(n), state="finished")
        else:
            known.write(tmp_path / str(n), state="failed", error="too small")
    rows = collect(tmp_path)
    # What was asked for is compared, not what auto was resolved to.
    assert rows[1].differences == {"linear.kind": "dense", "model.vocab_size": "null"}
    assert rows[2].differences == {"linear.kind": "dense", "model.vocab_size": "100"}
    assert (rows[2].state, rows[2].error) == ("failed", "too small")
    write(tmp_path)
    page = (tmp_path / "leaderboard.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("|")][2:]
    assert [line.split("|")[1:4] for line in lines] == [
        [" 1 ", " linear.kind=dense, vocab_size=null ", " 1 "],
        [" 2 ", " linear.kind=bitnet, vocab_size=null ", " 1 "],
        [" – ", " linear.kind=dense, vocab_size=100 ", " 0 of 1 "],
    ]
    assert "1.23k" in lines[0] and "- 2: failed: too small" in page
