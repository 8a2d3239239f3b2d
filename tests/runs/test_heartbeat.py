"""Signs of life: how often, and what counts as alive."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bitnet.runs import Beat, Heartbeat, RunError


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_it_beats_at_most_every_so_often(tmp_path: Path) -> None:
    now = [100.0]
    heart = Heartbeat(tmp_path / "heartbeat.json", every_seconds=10, clock=lambda: now[0])
    assert heart.read() is None
    assert heart.beat(step=1, tokens=64)
    now[0] = 109.0
    assert not heart.beat(step=2, tokens=128)
    now[0] = 110.0
    assert heart.beat(step=3, tokens=192)
    beat = heart.read()
    assert beat == Beat(110.0, 3, 192, os.getpid(), socket.gethostname())
    assert beat.age(115.0) == 5.0
    now[0] = 50.0  # the clock was set back
    assert heart.beat(step=4, tokens=256)


def test_alive_is_a_fresh_beat_of_a_process_that_exists() -> None:
    host = socket.gethostname()
    mine = Beat(100.0, 1, 64, os.getpid(), host)
    assert mine.is_alive(now=101.0) and mine.is_mine()
    assert not mine.is_alive(now=1000.0)
    assert not Beat(100.0, 1, 64, dead_pid(), host).is_alive(now=101.0)
    elsewhere = Beat(100.0, 1, 64, os.getpid(), "another-host")
    assert elsewhere.is_alive(now=101.0) and not elsewhere.is_mine()


@pytest.mark.parametrize("text", ["", "[]", '{"time": 1}', '{"beat": 1}'])
def test_a_foreign_file_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "heartbeat.json"
    path.write_text(text)
    with pytest.raises(RunError, match=r"heartbeat.json: is not a heartbeat"):
        Heartbeat(path).read()
