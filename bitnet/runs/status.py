"""How a run is doing, from its files alone: state, progress, losses, speed and time left.

It works while the run is training, on another machine that sees the folder, and years later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bitnet.runs.curves import Rows, last_losses
from bitnet.runs.directory import RunDirectory
from bitnet.runs.heartbeat import STALE_AFTER, Beat
from bitnet.runs.human import digits, duration, short

RECENT_ROWS = 10
"""Over how many of the newest rows with a speed the present speed is taken."""

_COLOURS = {
    "running": "green",
    "finished": "blue",
    "pruned": "yellow",
    "failed": "red",
    "stale": "red",
    "interrupted": "yellow",
}


@dataclass(frozen=True)
class Status:
    """A run at one moment.

    Attributes:
        name: of the run.
        state: that of ``run.json``, or ``stale``: it says running, but nothing is alive.
        error: one line, if the run failed.
        step: optimizer steps done.
        tokens: trained so far.
        tokens_total: the budget, where known.
        train: newest training losses, nats a token: ``total`` and by source.
        val: newest validation losses, likewise.
        tokens_per_second: median over the newest log windows.
        heartbeat_age: seconds since the last sign of life.
    """

    name: str
    state: str
    error: str | None = None
    step: int = 0
    tokens: int = 0
    tokens_total: int | None = None
    train: dict[str, float] = field(default_factory=dict)
    val: dict[str, float] = field(default_factory=dict)
    tokens_per_second: float | None = None
    heartbeat_age: float | None = None

    @property
    def progress(self) -> float | None:
        """Share of the budget that is done, from 0 to 1."""
        return min(1.0, self.tokens / self.tokens_total) if self.tokens_total else None

    @property
    def eta_seconds(self) -> float | None:
        """Seconds left at the present speed, for a run that is under way."""
        if self.state != "running" or not self.tokens_per_second or not self.tokens_total:
            return None
        return max(0, self.tokens_total - self.tokens) / self.tokens_per_second


def status(run: RunDirectory, now: float) -> Status:
    """The status of ``run`` at ``now`` (unix time in seconds).

    Raises:
        RunError: the folder is not a run, or one of its files cannot be read.
    """
    record, beat = run.record(), run.heartbeat().read()
    rows = run.metrics().read() if run.metrics_file.exists() else []
    return Status(
        name=record["name"],
        state=_state(record, beat, now),
        error=record["error"],
        step=_newest(rows, "step", beat.step if beat else 0),
        tokens=_newest(rows, "tokens", beat.tokens if beat else 0),
        tokens_total=record["tokens_total"],
        train=last_losses(rows, "train"),
        val=last_losses(rows, "val"),
        tokens_per_second=_speed(rows),
        heartbeat_age=beat.age(now) if beat else None,
    )


def render(state: Status) -> Group:
    """A status for the console: a line, a bar, and the losses by source."""
    parts: list[Text | Table] = [_headline(state)]
    if state.error:
        parts.append(Text(state.error, style="red"))
    parts.append(_position(state))
    if state.train or state.val:
        parts.append(_losses(state))
    return Group(*parts)


def _state(record: dict[str, Any], beat: Beat | None, now: float) -> str:
    """``stale`` in place of a state that only a living process could have."""
    state: str = record["state"]
    if state not in ("created", "running"):
        return state
    # Until its first step, a process has shown no sign of life but its start or resume.
    starts = [record["created"], *(resume["time"] for resume in record["resumes"])]
    started = datetime.fromisoformat(max(starts)).timestamp()
    if beat is not None and beat.time >= started:
        return state if beat.is_alive(now) else "stale"
    return state if now - started <= STALE_AFTER else "stale"


def _newest(rows: Rows, column: str, beaten: int) -> int:
    """The further of heartbeat and last row: each is written at its own cadence."""
    return max(beaten, int(rows[-1][column] or 0) if rows else 0)


def _speed(rows: Rows) -> float | None:
    rates = [rate for row in rows if (rate := row.get("tokens_per_second")) is not None]
    return median(rates[-RECENT_ROWS:]) if rates else None


def _headline(state: Status) -> Text:
    line = Text.assemble((state.name, "bold"), "  ")
    line.append(state.state, style=_COLOURS.get(state.state, ""))
    if state.heartbeat_age is not None and state.state in ("running", "stale"):
        line.append(f"  (last sign of life {duration(state.heartbeat_age)} ago)")
    return line


def _position(state: Status) -> Table:
    """The bar and the numbers behind it; without a budget there is no bar."""
    budget = f"/{short(state.tokens_total)}" if state.tokens_total else ""
    parts = [f"{short(state.tokens)}{budget} tokens", f"step {state.step:,}"]
    if state.tokens_per_second is not None:
        parts.append(f"{short(state.tokens_per_second)} tok/s")
    if state.eta_seconds is not None:
        parts.append(f"{duration(state.eta_seconds)} left")
    line = Table.grid(padding=(0, 2))
    cells: list[ProgressBar | str] = [*parts]
    if state.progress is not None:
        bar = ProgressBar(total=1.0, completed=state.progress, width=30)
        cells = [bar, f"{state.progress:.1%}", *parts]
    line.add_row(*cells)
    return line


def _losses(state: Status) -> Table:
    table = Table("loss (nats/token)", box=None, pad_edge=False, header_style="dim")
    for heading in ("train", "val"):
        table.add_column(heading, justify="right")
    for name in _names(state.train, state.val):
        numbers = digits(state.train.get(name)), digits(state.val.get(name))
        table.add_row(name, *numbers, style="bold" if name == "total" else "")
    return table


def _names(*groups: dict[str, float]) -> Sequence[str]:
    return list(dict.fromkeys(name for group in groups for name in group))
