"""The parent's end of a contender's process."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks.train.task import Task

HOME = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 1800.0


class Runner:
    """A contender in a process of its own, until it is closed.

    Args:
        task: what it does.
        patience: seconds that an answer may take.
    """

    def __init__(self, task: Task, patience: float = PATIENCE_SECONDS) -> None:
        self.task = task
        self.patience = patience
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        command = [sys.executable, "-m", "benchmarks.train.worker", task.to_json()]
        self._child = subprocess.Popen(
            command,
            cwd=HOME,
            env=_environment(task),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            bufsize=0,
            start_new_session=True,
        )

    def ask(self, command: str) -> dict[str, Any]:
        """Have something done; the answer, or ``{"error": why}`` in one line."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(f"{command}\n".encode())
            line = self._read_line()
        except BrokenPipeError:
            line = b""
        except TimeoutError:
            return {"error": f"no answer within {self.patience:.0f} s"}
        if not line.endswith(b"\n"):
            return {"error": self._last_words()}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout, self._said):
            if pipe is not None:
                pipe.close()

    def _read_line(self) -> bytes:
        """A line, or what came of it before the process ended.

        Raises:
            TimeoutError: it took too long.
        """
        assert self._child.stdout is not None
        descriptor, end, line = self._child.stdout.fileno(), monotonic() + self.patience, b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([descriptor], [], [], max(end - monotonic(), 0))
            if not ready:
                raise TimeoutError
            part = os.read(descriptor, 1 << 16)
            if not part:
                break
            line += part
        return line

    def _last_words(self) -> str:
        code = self._child.wait()
        self._said.seek(0)
        lines = [line.strip() for line in self._said.read().decode(errors="replace").splitlines()]
        silent = f"ended without a word (exit {code}{'; out of memory?' if code == -9 else ''})"
        return next((line for line in reversed(lines) if line), silent)


def _environment(task: Task) -> dict[str, str]:
    """Threads of every library in the process, decided before any of them counts cores."""
    own = {"OMP_NUM_THREADS": str(task.threads)} if task.threads else {}
    return {**os.environ, **own}
