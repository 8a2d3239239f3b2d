"""Who did best in a sweep: what was tried, best first, with its spread over seeds.

Only finished runs count: a run that was stopped early has seen fewer tokens, and to rank it by its
last loss would say nothing. What has no finished run stands below, without a rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from rich.table import Table
from rich.text import Text

from bitnet.runs.human import digits, short
from bitnet.runs.sweep_rows import SweepRow, by_variant

_HEADINGS = ("rank", "variant", "seeds", "val loss", "bits/byte", "tokens", "parameters", "tok/s")
_RIGHT = {"rank", "seeds", "val loss", "bits/byte", "tokens", "parameters", "tok/s"}


@dataclass(frozen=True)
class Entry:
    """One variant: everything its runs share but the seed.

    Attributes:
        variant: what it tries.
        finished: its finished runs that were validated.
        others: its other runs.
    """

    variant: str
    finished: list[SweepRow]
    others: list[SweepRow]

    @property
    def loss(self) -> float:
        """Mean final validation loss, nats a token; infinite without a finished run."""
        return fmean(self.column("val/loss")) if self.finished else float("inf")

    def column(self, name: str) -> list[float]:
        """A final number of each finished run that has it."""
        return [row.final[name] for row in self.finished if name in row.final]


def entries(rows: Sequence[SweepRow]) -> list[Entry]:
    """The variants of a sweep, best first; those without a finished run last, in their order."""
    found = []
    for variant, runs in by_variant(rows).items():
        done = [run for run in runs if run.state == "finished" and "val/loss" in run.final]
        found.append(Entry(variant or "all runs", done, [run for run in runs if run not in done]))
    return sorted(found, key=lambda entry: entry.loss)


def as_table(rows: Sequence[SweepRow]) -> Table:
    """The leaderboard for the console."""
    title = "Leaderboard (mean ± standard deviation of the final validation loss over seeds)"
    sheet = Table(title=title, title_justify="left")
    for heading in _HEADINGS:
        sheet.add_column(heading, justify="right" if heading in _RIGHT else "left", overflow="fold")
    for cells in _cells(rows):
        sheet.add_row(*(Text(cell) for cell in cells))
    return sheet


def as_markdown(rows: Sequence[SweepRow], title: str) -> str:
    """The leaderboard as a page, with what went wrong below it."""
    rule = ["---:" if heading in _RIGHT else "---" for heading in _HEADINGS]
    lines = [_HEADINGS, rule, *_cells(rows)]
    sheet = "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines)
    note = "Validation loss in nats a token: mean ± standard deviation over seeds, best first."
    parts = [f"# {title}", note, sheet]
    if any(row.val or row.train for row in rows):
        parts.append("![loss against tokens](sweep.png)")
    if wrong := [row for row in rows if row.error]:
        parts.append("\n".join(f"- {row.run}: {row.state}: {row.error}" for row in wrong))
    return "\n\n".join(parts) + "\n"


def _cells(rows: Sequence[SweepRow]) -> list[list[str]]:
    return [_line(rank, entry) for rank, entry in enumerate(entries(rows), start=1)]


def _line(rank: int, entry: Entry) -> list[str]:
    done, runs = len(entry.finished), len(entry.finished) + len(entry.others)
    losses, shown = entry.column("val/loss"), entry.finished or entry.others
    spread = f" ± {stdev(losses):.4f}" if len(losses) > 1 else ""
    states = ", ".join(dict.fromkeys(row.state for row in entry.others))
    sizes = {row.parameters for row in shown if row.parameters is not None}
    return [
        str(rank) if done else digits(None),
        entry.variant,
        str(done) if done == runs else f"{done} of {runs}",
        f"{entry.loss:.4f}{spread}" if done else states,
        _mean(entry.column("val/bits_per_byte"), 4),
        " to ".join(short(tokens) for tokens in _ends([row.tokens for row in shown])),
        " to ".join(short(size) for size in _ends(list(sizes))) or digits(None),
        short(fmean(speed)) if (speed := entry.column("tokens_per_second")) else digits(None),
    ]


def _mean(values: Sequence[float], places: int) -> str:
    return digits(fmean(values) if values else None, places)


def _ends(values: Sequence[int]) -> list[int]:
    """The smallest and the largest; one, if they are the same."""
    return sorted({min(values), max(values)}) if values else []


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
