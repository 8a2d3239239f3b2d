"""What closes a multirun: one table of what differed and what came out."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from bitnet.runs import sweep as results


def report_sweep(folder: Path) -> None:
    """Write ``sweep.csv`` and ``sweep.png`` into ``folder`` and print the table."""
    if folder.is_dir():
        Console().print(results.write(folder))
        Console().print(f"sweep directory: {folder}", highlight=False, soft_wrap=True)
