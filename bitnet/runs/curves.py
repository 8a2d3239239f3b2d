"""Curves out of a run's metrics: what status, plots and sweep tables all read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Rows = Sequence[Mapping[str, float | None]]


@dataclass(frozen=True)
class Curve:
    """A column against tokens, where it has values."""

    tokens: list[float]
    values: list[float]

    def __bool__(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.values)


def curve(rows: Rows, column: str) -> Curve:
    """``column`` of ``rows`` against tokens; a column that is not there is an empty curve."""
    points = [
        (tokens, value)
        for row in rows
        if (value := row.get(column)) is not None and (tokens := row.get("tokens")) is not None
    ]
    return Curve([tokens for tokens, _ in points], [value for _, value in points])


def last(rows: Rows, column: str) -> float | None:
    """The newest value of ``column``, or ``None``."""
    return next((row[column] for row in reversed(rows) if row.get(column) is not None), None)


def last_losses(rows: Rows, stage: str) -> dict[str, float]:
    """The newest ``<stage>/loss`` as ``total`` and the newest of each source that has one."""
    columns = {"total": f"{stage}/loss"}
    columns |= {source: f"{stage}/loss/{source}" for source in sources(rows[0] if rows else ())}
    found = {name: last(rows, column) for name, column in columns.items()}
    return {name: value for name, value in found.items() if value is not None}


def sources(columns: Iterable[str]) -> list[str]:
    """The sources of a mix, as the names of metric columns tell them."""
    prefix = "val/loss/"
    return [column.removeprefix(prefix) for column in columns if column.startswith(prefix)]
