"""The look of every figure: paper, palette, token axis, and labels at the ends of curves.

Figures are made through matplotlib's objects, never through pyplot, so that drawing in the middle
of a training run (or a notebook) touches no global state and opens no window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle
from math import isfinite
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

from bitnet.runs.atomic import write_bytes
from bitnet.runs.human import short

# After Okabe and Ito: told apart with every common colour blindness. Their yellow is left out,
# since it cannot be read on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7B3294", "#8C6D31")
INK, FAINT, GRID = "#222222", "#8A8A8A", "#E4E4E4"
_LINE_HEIGHT = 0.048  # of an axes' height: room of one end label


@dataclass(frozen=True)
class EndLabel:
    """Words to stand at the right end of a curve that ends at ``value``."""

    text: str
    value: float
    colour: str


def figure(title: str, panels: int = 2) -> tuple[Figure, list[Axes]]:
    """A figure of ``panels`` side by side under one title."""
    layout = ConstrainedLayoutEngine(wspace=0.04)
    sheet = Figure(figsize=(3.4 + 4.5 * panels, 4.6), dpi=140, layout=layout, facecolor="white")
    head = sheet.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
    head.set_parse_math(False)  # a name may hold a dollar sign
    axes = [sheet.add_subplot(1, panels, n + 1) for n in range(panels)]
    for axis in axes:
        axis.grid(color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(FAINT)
        axis.tick_params(colors=INK, labelsize=9, length=3)
    return sheet, axes


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour a name, the same for the same list of names."""
    return dict(zip(names, cycle(PALETTE), strict=False))


def label(axis: Axes, heading: str, y: str) -> None:
    """A panel's heading and units; x is always tokens trained."""
    axis.set_title(heading, loc="left", fontsize=10, color=INK)
    axis.set_xlabel("tokens trained", fontsize=9.5, color=INK)
    axis.set_ylabel(y, fontsize=9.5, color=INK)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: short(tokens)))
    axis.set_xlim(left=0)


def label_ends(axis: Axes, labels: Sequence[EndLabel]) -> None:
    """Write ``labels`` right of the axis at the height of their curves, pushed apart."""
    shown = sorted((mark for mark in labels if isfinite(mark.value)), key=lambda mark: mark.value)
    wanted = [_height(axis, mark.value) for mark in shown]
    for mark, height in zip(shown, spread(wanted, _LINE_HEIGHT), strict=True):
        axis.annotate(
            mark.text,
            xy=(1.0, height),
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            color=mark.colour,
            fontsize=8.5,
            va="center",
            annotation_clip=False,
        )


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """``wanted`` heights (ascending) moved apart to at least ``gap``, as little as may be.

    Labels that touch form a block that stands around the mean of its wishes; blocks that touch
    are joined, and the whole is kept within 0 and 1 where it fits.
    """
    blocks: list[list[float]] = []
    for height in wanted:
        blocks.append([height])
        while len(blocks) > 1 and _bottom(blocks[-1], gap) < _top(blocks[-2], gap) + gap:
            upper = blocks.pop()
            blocks[-1] += upper
    placed = []
    for block in blocks:
        placed += [_bottom(block, gap) + gap * n for n in range(len(block))]
    return placed


def save(sheet: Figure, path: Path) -> None:
    """Write the figure as PNG, whole or not at all."""
    buffer = BytesIO()
    sheet.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())


def _bottom(block: Sequence[float], gap: float) -> float:
    wanted = sum(block) / len(block) - gap * (len(block) - 1) / 2
    return max(min(wanted, 1.0 - gap * (len(block) - 1)), 0.0)


def _top(block: Sequence[float], gap: float) -> float:
    return _bottom(block, gap) + gap * (len(block) - 1)


def _height(axis: Axes, value: float) -> float:
    """Where ``value`` lies on the axis, as a share of its height; scales of all kinds."""
    _, pixels = axis.transData.transform((axis.get_xlim()[0], value))
    return float(axis.transAxes.inverted().transform((0.0, pixels))[1])
