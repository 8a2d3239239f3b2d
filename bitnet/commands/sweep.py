"""What closes a multirun: one table of what differed and what came out."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from bitnet.runs import sweep as results
from bitnet.runs.directory import find_runs
from bitnet.runs.sweep_jobs import noted_jobs

_LOG_WIDTH = 140


def report_sweep(folder: Path) -> None:
    """Write table, leaderboard and plot into ``folder`` and print them; nothing began: nothing."""
    if not noted_jobs(folder) and not any(find_runs(folder)):
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)  # a file has no edge to wrap at
    console.print(results.write(folder))
    where = f"sweep directory: {folder} (leaderboard.md, sweep.csv, sweep.png)"
    console.print(where, highlight=False, soft_wrap=True)
