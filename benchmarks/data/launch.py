"""Starts a contender in a fresh process, watches its memory, and reads its answer."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.data.task import Task
from benchmarks.data.tree import Watch

HOME = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 600


def launch(mode: str, task: Task, patience: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """What the process answered, and its peak memory; or `{"error": why}`, in one line."""
    with tempfile.TemporaryDirectory() as folder:
        answer, said = Path(folder) / "answer.json", Path(folder) / "said"
        command = [sys.executable, "-m", "benchmarks.data.child"]
        command += [mode, task.to_json(), str(answer)]
        with said.open("w") as output:
            child = subprocess.Popen(
                command,
                cwd=HOME,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=partial(_keep_to, task.cores),
            )
            watch = Watch(child.pid)
            try:
                child.wait(patience)
            except subprocess.TimeoutExpired:
                return {"error": f"no answer within {patience:.0f} s"}
            finally:
                watch.stop()
                _end(child)
        if not answer.is_file():
            return {"error": _last_line(said)}
        return _with_memory(json.loads(answer.read_text()), watch)


def _keep_to(cores: int) -> None:
    """Take so many cores before any library counts them; 0 leaves all."""
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _with_memory(answer: dict[str, Any], watch: Watch) -> dict[str, Any]:
    first = answer.pop("first_batch_at", None)
    if first is not None:
        answer["first_batch_bytes"] = watch.peak(first)
        answer["peak_bytes"] = watch.peak()
    return answer


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the whole session of the child: its workers may outlive it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _last_line(said: Path) -> str:
    lines = [line.strip() for line in said.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "ended without a word")
