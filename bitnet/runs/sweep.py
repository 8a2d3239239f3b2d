"""What a sweep found: ``leaderboard.md`` to read, ``sweep.csv`` to compute with, ``sweep.png``.

>>> from rich import print
>>> print(write("multirun/2026-05-01"))
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bitnet.runs.atomic import write_text
from bitnet.runs.curves import sources
from bitnet.runs.human import brief, digits, short
from bitnet.runs.leaderboard import as_markdown, as_table
from bitnet.runs.sweep_plot import draw
from bitnet.runs.sweep_rows import SweepRow, collect

__all__ = ["SweepRow", "collect", "table", "write"]

_MAIN = {"train/loss": "train", "val/loss": "val", "val/bits_per_byte": "bits/byte"}


def write(sweep_dir: str | Path) -> Group:
    """Write ``sweep.csv``, ``leaderboard.md`` and ``sweep.png`` into ``sweep_dir``.

    Returns:
        The tables for the console.

    Raises:
        RunError: there is no run below ``sweep_dir``.
    """
    root = Path(sweep_dir)
    rows, title = collect(root), root.resolve().name
    write_text(root / "sweep.csv", _csv(rows))
    write_text(root / "leaderboard.md", as_markdown(rows, title))
    draw(rows, title, root / "sweep.png")
    return table(rows)


def table(rows: Sequence[SweepRow]) -> Group:
    """The runs, validation loss by source, the leaderboard, and what went wrong."""
    parts: list[Table | Text] = [_runs(rows)]
    if names := _sources(rows):
        parts.append(_by_source(rows, names))
    parts.append(as_table(rows))
    parts += [Text(f"{row.run}: {row.error}", style="red") for row in rows if row.error]
    return Group(*parts)


def _runs(rows: Sequence[SweepRow]) -> Table:
    told_by = rows[0].told_by
    sheet = Table("run", "state", *told_by, title="Runs", title_justify="left")
    for heading in ("tokens", *_MAIN.values(), "tok/s"):
        sheet.add_column(heading, justify="right")
    for row in rows:
        speed = row.final.get("tokens_per_second")
        sheet.add_row(
            row.run,
            Text(row.state, style="red" if row.error else ""),
            *(brief(row.differences[key]) for key in told_by),
            short(row.tokens),
            *(digits(row.final.get(column), 4) for column in _MAIN),
            short(speed) if speed is not None else digits(None),
        )
    return sheet


def _by_source(rows: Sequence[SweepRow], names: Sequence[str]) -> Table:
    title = "Final validation loss by source (nats per token)"
    sheet = Table("run", title=title, title_justify="left")
    for name in names:
        sheet.add_column(name, justify="right")
    for row in rows:
        sheet.add_row(row.run, *(digits(row.final.get(f"val/loss/{name}")) for name in names))
    return sheet


def _sources(rows: Sequence[SweepRow]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in sources(row.final)))


def _csv(rows: Sequence[SweepRow]) -> str:
    """Everything the rows hold but their curves; numbers exact."""
    results = list(dict.fromkeys(column for row in rows for column in row.final))
    buffer = io.StringIO()
    sheet = csv.writer(buffer, lineterminator="\n")
    sheet.writerow(["run", "state", "error", *rows[0].differences, "tokens", *results])
    for row in rows:
        numbers = [repr(row.final[c]) if c in row.final else "" for c in results]
        differences = row.differences.values()
        sheet.writerow([row.run, row.state, row.error or "", *differences, row.tokens, *numbers])
    return buffer.getvalue()
