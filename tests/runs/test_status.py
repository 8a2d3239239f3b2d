"""What `bitnet status` says about a run at a given moment."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bitnet.runs import RunDirectory, RunError
from bitnet.runs.atomic import write_json
from bitnet.runs.human import digits, duration, short
from bitnet.runs.status import render, status
from tests.runs.synthetic import make_run
from tests.runs.test_heartbeat import dead_pid

NOW = 1_800_000_000.0


def beat(run: RunDirectory, age: float, pid: int | None = None, host: str | None = None) -> None:
    fields = {"time": NOW - age, "step": 20, "tokens": 20_500}
    me = {"pid": pid or os.getpid(), "host": host or socket.gethostname()}
    write_json(run.heartbeat_file, fields | me)


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")


def shown(run: RunDirectory) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(render(status(run, NOW)))
    return console.export_text()


def test_a_running_run_has_progress_losses_speed_and_time_left(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", steps=20, state="running", created=iso(NOW - 60))
    beat(run, age=7)
    now = status(run, NOW)
    assert (now.state, now.step, now.tokens) == ("running", 20, 20_500)
    assert now.progress == pytest.approx(20_500 / 40_000)
    assert now.tokens_per_second == 500.0  # the slow first window does not count for now
    assert now.eta_seconds == pytest.approx(19_500 / 500)
    assert set(now.train) == {"total", "c4"}
    assert now.val["github"] == pytest.approx(now.val["total"] - 1)
    text = shown(run)
    for words in ("running", "20.5k/40k tokens", "51.2%", "500 tok/s", "39s left", "github"):
        assert words in text, words


@pytest.mark.parametrize(
    ("age", "dead", "host", "expected"),
    [
        (7, False, None, "running"),
        (299, False, None, "running"),
        (301, False, None, "stale"),
        (7, True, None, "stale"),
        (7, True, "elsewhere", "running"),
        (301, False, "elsewhere", "stale"),
    ],
)
def test_running_needs_a_sign_of_life(
    tmp_path: Path, age: float, dead: bool, host: str | None, expected: str
) -> None:
    run = make_run(tmp_path / "a", steps=1, state="running", created=iso(NOW - 9999))
    beat(run, age, pid=dead_pid() if dead else None, host=host)
    now = status(run, NOW)
    assert now.state == expected
    assert (now.eta_seconds is not None) == (expected == "running")


def test_a_run_that_never_beat_is_stale_after_a_while(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", steps=0)
    run.update_record(state="created")
    born = datetime.fromisoformat(run.record()["created"]).timestamp()
    assert status(run, born + 299).state == "created"
    assert status(run, born + 301).state == "stale"


def test_a_run_just_resumed_is_running_though_its_last_beat_is_old(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", steps=1, state="running", created=iso(NOW - 99_999))
    beat(run, age=9_999, pid=dead_pid())
    assert status(run, NOW).state == "stale"
    run.update_record(resumes=[{"time": iso(NOW - 20)}])
    assert status(run, NOW).state == "running"
    assert status(run, NOW + 301).state == "stale"


def test_a_failed_run_keeps_its_state_and_tells_why(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", state="failed", error="OutOfMemory: 3 GB short")
    beat(run, age=9999)
    assert status(run, NOW).state == "failed"
    assert "OutOfMemory: 3 GB short" in shown(run)


def test_a_run_without_rows_or_budget_can_be_shown(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "a")
    run.create("seed: 1\n", {"state": "interrupted"})
    now = status(run, NOW)
    assert (now.progress, now.eta_seconds, now.train, now.tokens) == (None, None, {}, 0)
    assert "interrupted" in shown(run)
    with pytest.raises(RunError, match="is not a run"):
        status(RunDirectory(tmp_path / "b"), NOW)


def test_numbers_for_people() -> None:
    assert [short(n) for n in (0, 999, 999_600, 1_234_567, 2.5e9, 1e12)] == [
        *("0", "999", "1M", "1.23M", "2.5B", "1T")
    ]
    assert [duration(s) for s in (8.4, 187, 7500, 273_600)] == ["8s", "3m 07s", "2h 05m", "3d 04h"]
    assert [digits(None), digits(1.23456)] == ["–", "1.235"]
