"""The command line and environment of a job, and what its output says when it failed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

# What the sweep decides for its jobs, and what only the sweep itself has.
_NOT_PASSED_ON = re.compile(
    r"[+~]*(run_dir|resume|hydra/launcher|hydra/sweeper|hydra\.mode|hydra\.launcher\..*"
    r"|hydra\.sweeper\..*|hydra\.sweep\..*)="
)


def new_job(overrides: Sequence[str], folder: Path, group: str | None) -> list[str]:
    """Arguments of ``bitnet`` that start a job in ``folder``, and in W&B's ``group`` if given."""
    kept = [each for each in overrides if not _NOT_PASSED_ON.match(each)]
    kept += [f"logger.wandb.group={quoted(group)}"] if group else []
    return ["train", *kept, f"run_dir={quoted(str(folder))}"]


def resumed_job(overrides: Sequence[str], folder: Path) -> list[str]:
    """Arguments of ``bitnet`` that go on with the run in ``folder``, as a trial if it is one."""
    trial = [each for each in overrides if each.startswith("callbacks.trial.")]
    return ["train", f"resume={folder}", *trial]


def command_line(arguments: Sequence[str]) -> list[str]:
    """``bitnet`` with ``arguments``, in this Python."""
    return [sys.executable, "-m", "bitnet.cli", *arguments]


def environment(more: dict[str, str]) -> dict[str, str]:
    """This process's environment with ``more``, such that output comes at once and unwrapped."""
    columns = str(shutil.get_terminal_size().columns)
    return os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": columns} | more


def quoted(value: str) -> str:
    """``value`` as Hydra reads it back unchanged, whatever signs it holds."""
    plain = re.fullmatch(r"[\w./-]+", value, re.ASCII)
    return value if plain else QuotedString(value, Quote.single).with_quotes()


def failure(code: int, log: Path, start: int) -> str:
    """One line for a job that ended with ``code``, out of its log from byte ``start`` on."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    with log.open("rb") as stream:
        stream.seek(start)
        lines = stream.read().decode("utf-8", "replace").split("\n")
    mark = "bitnet train: "
    told = [line.removeprefix(mark) for line in lines if line.startswith(mark)]
    spoken = [line.strip() for line in lines if line.strip()]
    return "; ".join(told) or (spoken[-1] if spoken else f"ended with exit code {code}")
