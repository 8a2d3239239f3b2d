"""The report on a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 100
_MEASURES = {
    "text": "tokenises while it reads; × is settled, to the raw tokenizer on the same cores",
    "tokens": "reads prepared tokens; × is to the best peer",
}


def show(rows: list[dict[str, Any]], say: Callable[[str], None]) -> None:
    """Speeds of both kinds, then what was measured once."""
    for kind, title in _MEASURES.items():
        chosen = [row for row in rows if row["kind"] == kind or _ceiling_of(kind, row)]
        if chosen:
            _print(_speeds(chosen, title), say)
    for row in rows:
        if "note" in row:
            say(f"{row['contender']}: {row['note']}")
    facts = {row["contender"]: row for row in rows if "resume_note" in row}
    if facts:
        _print(_facts(list(facts.values())), say)
        for row in facts.values():
            if row["resume_note"]:
                say(f"{row['contender']}, resuming: {row['resume_note']}")


def _ceiling_of(kind: str, row: dict[str, Any]) -> bool:
    return kind == "text" and row["kind"] == "ceiling"


def _speeds(rows: list[dict[str, Any]], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("contender", min_width=20)
    for name in (
        "workers",
        "cores",
        "M tokens/s",
        "settled",
        "×",
        "first s",
        "first MiB",
        "peak MiB",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        if "tokens_per_second" not in row:
            table.add_row(row["contender"], str(row.get("workers", "")), "", "–")
            continue
        table.add_row(
            row["contender"],
            str(row["workers"]) if row["kind"] != "ceiling" else "",
            str(row["cores"] or "all"),
            f"{row['tokens_per_second'] / 1e6:.2f}",
            _number(row, "settled_tokens_per_second", "{:.2f}", 1e6),
            _number(row, "ratio", "{:.2f}"),
            _number(row, "first_batch_seconds", "{:.2f}"),
            _number(row, "first_batch_bytes", "{:.0f}", 2**20),
            _number(row, "peak_bytes", "{:.0f}", 2**20),
        )
    return table


def _facts(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="once for each", title_justify="left", box=None, pad_edge=False)
    table.add_column("contender", min_width=20)
    for name in ("share error", "of samples", "resume s", "disk MB", "prepares M tokens/s"):
        table.add_column(name, justify="right")
    for row in rows:
        possible = row["resume_seconds"] is not None
        table.add_row(
            row["contender"],
            _number(row, "share_error", "{:.4f}"),
            _number(row, "share_samples", "{:d}"),
            f"{row['resume_seconds']:.2f}" if possible else "not possible",
            _number(row, "disk_bytes", "{:.1f}", 1e6),
            _number(row, "prepare_tokens_per_second", "{:.2f}", 1e6),
        )
    return table


def _number(row: dict[str, Any], key: str, form: str, unit: float = 1) -> str:
    if key not in row:
        return ""
    return form.format(row[key] if unit == 1 else row[key] / unit)


def _print(table: Table, say: Callable[[str], None]) -> None:
    text = StringIO()
    Console(file=text, width=WIDTH).print(table)
    say("\n" + "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines()))
