"""The picture of the report: how each contender's step compares with the dense twin's."""

from __future__ import annotations

from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from bitnet.runs.atomic import write_bytes
from bitnet.runs.canvas import FAINT, INK, PALETTE, figure

FORMATS = (".png", ".svg")
_COLOURS = {"dense": INK, "ours": PALETTE[0], "naive": PALETTE[1], "peer": PALETTE[4]}
_TICKS = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 50)
Row = dict[str, Any]


def draw(rows: list[Row], machine: str, path: Path) -> bool:
    """Draw a panel a shape into ``path``, whose ending is one of ``FORMATS``.

    Returns:
        Whether there was anything to draw.
    """
    timed = [row for row in rows if "ratio_to_dense" in row]
    groups = [(title, list(group)) for title, group in groupby(timed, key=lambda r: r["shape"])]
    if not groups:
        return False
    sheet, axes = figure(f"Time of a training step over its dense twin's ({machine})", len(groups))
    for axis, (title, group) in zip(axes, groups, strict=True):
        _panel(axis, title, group)
    buffer = BytesIO()
    sheet.savefig(buffer, format=path.suffix.removeprefix("."))
    write_bytes(path, buffer.getvalue())
    return True


def _panel(axis: Axes, title: str, rows: list[Row]) -> None:
    """Points on a logarithmic axis: half the time is as far from 1 as twice is."""
    rows = sorted(rows, key=lambda row: row["ratio_to_dense"], reverse=True)
    ratios = [row["ratio_to_dense"] for row in rows]
    places = range(len(rows))
    colours = [_COLOURS[row["kind"]] for row in rows]
    axis.set_xscale("log")
    axis.axvline(1.0, color=INK, linewidth=1.0)
    axis.hlines(places, 1.0, ratios, color=colours, linewidth=2.2)
    axis.scatter(ratios, places, color=colours, s=36, zorder=3)
    for place, ratio in zip(places, ratios, strict=True):
        above: dict[str, Any] = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center"}
        axis.annotate(f"{ratio:.2f}", (ratio, place), fontsize=8.5, color=INK, **above)
    axis.set_yticks(places, [row["contender"] for row in rows])
    axis.set_ylim(-0.6, len(rows) - 0.3)
    axis.set_xlim(min(0.5, min(ratios) * 0.85), max(2.0, max(ratios) * 1.25))
    axis.set_xticks(_ticks(axis.get_xlim()))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_title(title, loc="left", fontsize=10, color=INK)
    axis.set_xlabel("× the dense twin's time (left is faster)", fontsize=9.5, color=FAINT)


def _ticks(limits: tuple[float, float]) -> list[float]:
    return [tick for tick in _TICKS if limits[0] <= tick <= limits[1]]
