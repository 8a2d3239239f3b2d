"""The report on a terminal of 100 columns, and the same in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 100
Row = dict[str, Any]
HEADS = (
    "contender",
    "ms",
    "fastest",
    "×\ndense",
    "tokens/s",
    "peak\nMiB",
    "×\ndense",
    "tensors\nMiB",
    "×\ndense",
    "MFU",
    "first\ns",
)


def show(rows: list[Row], say: Callable[[str], None]) -> None:
    """A table a shape, then what has to be known about single numbers."""
    for title, group in groupby(rows, key=lambda row: row["shape"]):
        chosen = list(group)
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for head in HEADS:
            table.add_column(head, justify="left" if head == "contender" else "right", no_wrap=True)
        for row in chosen:
            table.add_row(*cells(row))
        _print(table, say)
        for note in _notes(chosen):
            say(note)


def cells(row: Row) -> list[str]:
    """A row's texts, in the order of ``HEADS``; a contender that did not run has dashes."""
    if "milliseconds" not in row:
        return [row["contender"], *["–"] * (len(HEADS) - 1)]
    return [
        row["contender"] + ("" if row["compiled"] else " (eager)"),
        _milliseconds(row["milliseconds"]),
        _milliseconds(row["fastest_milliseconds"]),
        f"{row['ratio_to_dense']:.3f}",
        f"{row['tokens_per_second']:,}",
        f"{row['peak_bytes'] / 2**20:,.0f}",
        f"{row['peak_to_dense']:.2f}",
        f"{row['tensor_bytes'] / 2**20:,.0f}" if "tensor_bytes" in row else "–",
        f"{row['tensors_to_dense']:.2f}" if "tensors_to_dense" in row else "–",
        f"{row['mfu']:.1%}" if "mfu" in row else "–",
        f"{row['compile_seconds']:.1f}",
    ]


def markdown(report: dict[str, Any]) -> str:
    """The report as a page that says how it was made."""
    machine = report["machine"]
    lines = [
        "# A training step beside its dense twin",
        "",
        f"Made by `{report['command']}` on {machine['gpu'] or machine['cpu']}, "
        f"{machine['threads']} threads, torch {report['versions']['torch']}, Python "
        f"{report['versions']['python']}{_allocator(machine)}.",
        "[docs/bench_train.md](../../docs/bench_train.md) says what is measured and how.",
    ]
    for title, group in groupby(report["rows"], key=lambda row: row["shape"]):
        chosen = list(group)
        heads = [head.replace("\n", " ") for head in HEADS]
        lines += ["", f"## {title}", "", f"| {' | '.join(heads)} |"]
        lines.append("|---|" + "---:|" * (len(HEADS) - 1))
        lines += [f"| {' | '.join(cells(row))} |" for row in chosen]
        lines += ["", *(f"- {note}" for note in _notes(chosen))]
    for title, bound in report.get("roofline", {}).items():
        lines += ["", f"## Roofline of {title}", "", "```text", *bound["text"], "```"]
    return "\n".join(lines).rstrip() + "\n"


def _allocator(machine: dict[str, Any]) -> str:
    name = machine.get("cpu_allocator")
    return f", tensors allocated by `cpu_allocator={name}`" if name else ""


def _notes(rows: list[Row]) -> list[str]:
    return [f"{row['contender']}: {row['note']}" for row in rows if "note" in row]


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _print(table: Table, say: Callable[[str], None]) -> None:
    text = StringIO()
    Console(file=text, width=WIDTH).print(table)
    say("\n" + "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines()))
