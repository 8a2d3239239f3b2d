"""The folder of a run: made once, opened, found again, with words for what is wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bitnet.runs import RunDirectory, RunError, find_latest, find_runs
from bitnet.runs.atomic import write_json
from bitnet.runs.record import FIELDS


def made(path: Path, **record: object) -> RunDirectory:
    run = RunDirectory(path)
    run.create("seed: 1\n", record)
    return run


def test_create_and_read_back(tmp_path: Path) -> None:
    run = made(tmp_path / "a", tokens_total=100, overrides=["seed=1"])
    record = RunDirectory.open(run.path).record()
    assert list(record) == list(FIELDS)
    assert (record["name"], record["state"], record["tokens_total"]) == ("a", "created", 100)
    assert run.config_file.read_text() == "seed: 1\n"
    assert run.checkpoints.is_dir()
    run.update_record(state="running", wandb_id="x1")
    assert run.record() == record | {"state": "running", "wandb_id": "x1"}


def test_create_never_overwrites(tmp_path: Path) -> None:
    run = made(tmp_path / "a")
    with pytest.raises(RunError, match=r"a run here already; resume=.*a goes on"):
        run.create("seed: 2\n", {})
    assert run.config_file.read_text() == "seed: 1\n"


def test_a_refused_record_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no field 'overides'; did you mean 'overrides'"):
        made(tmp_path / "a", overides=[])
    assert not (tmp_path / "a").exists()
    run = made(tmp_path / "b")
    with pytest.raises(RunError, match="state 'done' is none of created, running"):
        run.update_record(state="done")
    assert run.record()["state"] == "created"


def test_open_says_what_is_missing_and_what_is_nearby(tmp_path: Path) -> None:
    made(tmp_path / "first")
    made(tmp_path / "second")
    with pytest.raises(RunError, match=r"does not exist\); runs nearby: .*first, .*second"):
        RunDirectory.open(tmp_path / "frist")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.yaml").write_text("")
    with pytest.raises(RunError, match=r"half: is not a run \(has no run.json\)"):
        RunDirectory.open(tmp_path / "half")
    with pytest.raises(RunError, match=r"is not a run \(has no run.json and no config.yaml\)"):
        RunDirectory.open(tmp_path)


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    run = made(tmp_path / "a")
    run.record_file.write_text("{")
    with pytest.raises(RunError, match=r"run.json: is not JSON"):
        run.record()


def test_latest_checkpoint(tmp_path: Path) -> None:
    run = made(tmp_path / "a")
    assert run.latest_checkpoint() is None
    for tokens in (900, 1000):
        (run.checkpoints / f"tokens-{tokens}.ckpt").touch()
    assert run.latest_checkpoint() == run.checkpoints / "tokens-1000.ckpt"
    last = run.checkpoints / "last.ckpt"
    last.symlink_to("tokens-900.ckpt")
    assert run.latest_checkpoint() == last
    (run.checkpoints / "tokens-900.ckpt").unlink()  # the link dangles
    assert run.latest_checkpoint() == run.checkpoints / "tokens-1000.ckpt"


def test_find_runs_looks_below_but_not_into_checkpoints(tmp_path: Path) -> None:
    made(tmp_path / "b")
    made(tmp_path / "sweep" / "0")
    made(tmp_path / "b" / "checkpoints" / "hidden")
    found = [run.path.relative_to(tmp_path).as_posix() for run in find_runs(tmp_path)]
    assert found == ["b", "sweep/0"]


def test_find_latest_is_the_newest_unfinished_of_the_same_config(tmp_path: Path) -> None:
    assert find_latest(tmp_path / "nowhere", "c1") is None
    made(tmp_path / "z", config_id="c1", created="2026-01-01T00:00:00+00:00", state="failed")
    newest = made(tmp_path / "s" / "a", config_id="c1", created="2026-01-02T00:00:00+00:00")
    made(tmp_path / "done", config_id="c1", state="finished")
    made(tmp_path / "other", config_id="c2")
    assert find_latest(tmp_path, "c1") == newest
    assert find_latest(tmp_path, "c3") is None


def beat(run: RunDirectory, pid: int) -> None:
    fields = {"time": time.time(), "step": 1, "tokens": 1, "host": socket.gethostname()}
    write_json(run.heartbeat_file, fields | {"pid": pid})


def test_find_latest_passes_over_a_run_that_is_alive(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = made(tmp_path / "a", config_id="c1", state="running")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        beat(run, other.pid)
        assert find_latest(tmp_path, "c1") is None
        assert "still running" in caplog.text
        other.communicate(b"\n")
    assert find_latest(tmp_path, "c1") == run  # it was killed: its state still says running
    beat(run, os.getpid())
    assert find_latest(tmp_path, "c1") == run


def test_the_files_of_a_run_stand_where_the_design_says(tmp_path: Path) -> None:
    run = made(tmp_path / "a")
    run.metrics(["tokens", "step"]).append({"step": 1})
    run.ternary().append({"step": 1, "layer": "x"})
    run.samples().append(1, 64, [("a", "b")])
    run.heartbeat().beat(1, 64)
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        *("config.yaml", "run.json", "metrics.csv", "ternary.csv"),
        *("samples.md", "heartbeat.json", "checkpoints"),
    }
    assert json.loads(run.heartbeat_file.read_text())["step"] == 1
