"""The two pictures of a run: how the loss fell, and what the ternary weights did.

They are redrawn from ``metrics.csv`` and ``ternary.csv`` alone, so they can be made at any time,
also for a run that failed.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes

from bitnet.runs.canvas import (
    INK,
    PALETTE,
    EndLabel,
    colours,
    figure,
    label,
    label_ends,
    save,
)
from bitnet.runs.curves import Curve, Rows, curve, sources
from bitnet.runs.directory import RunDirectory
from bitnet.runs.errors import RunError
from bitnet.runs.human import digits

_CODES = {"minus": ("−1", PALETTE[0]), "zero": ("0", INK), "plus": ("+1", PALETTE[1])}
_DOTS_UP_TO = 40  # points of a curve that still can be told apart

LayerValues = dict[float, list[float]]


def loss_curves(run: RunDirectory, path: Path | None = None) -> Path:
    """Draw loss against tokens, in total and by source, into ``path`` (or ``loss.png``).

    Training losses are light, validation losses strong.

    Raises:
        RunError: the run has no metrics yet.
    """
    file = run.metrics()
    rows = file.read()
    if not rows:
        raise RunError(f"{file.path}: there is nothing to draw yet")
    sheet, (total, by_source) = figure(run.record()["name"])
    _total_panel(total, rows)
    _source_panel(by_source, rows, sources(file.columns))
    target = path or run.loss_plot
    save(sheet, target)
    return target


def ternary_shares(run: RunDirectory, path: Path | None = None) -> Path:
    """Draw shares of −1, 0, +1 and the flip rate into ``path`` (or ``ternary.png``).

    Lines are means over layers, bands reach from the lowest layer to the highest.

    Raises:
        RunError: the run has recorded no ternary weights.
    """
    rows = run.ternary().read() if run.ternary_file.exists() else []
    if not rows:
        raise RunError(f"{run.ternary_file}: there is nothing to draw (a dense run has none)")
    sheet, (shares, flips) = figure(run.record()["name"])
    _shares_panel(shares, rows)
    _flips_panel(flips, rows)
    target = path or run.ternary_plot
    save(sheet, target)
    return target


def _total_panel(axis: Axes, rows: Rows) -> None:
    train, val = curve(rows, "train/loss"), curve(rows, "val/loss")
    _draw(axis, train, PALETTE[0], light=True)
    _draw(axis, val, INK, light=False)
    label(axis, "Total (strong: validation, light: training)", "loss (nats per token)")
    ends = [_end("train", train, PALETTE[0]), _end("val", val, INK)]
    label_ends(axis, [end for end in ends if end])


def _source_panel(axis: Axes, rows: Rows, names: list[str]) -> None:
    ends = []
    for name, colour in colours(names).items():
        train, val = curve(rows, f"train/loss/{name}"), curve(rows, f"val/loss/{name}")
        _draw(axis, train, colour, light=True)
        _draw(axis, val, colour, light=False)
        ends.append(_end(name, val or train, colour))
    label(axis, "By source (strong: validation, light: training)", "loss (nats per token)")
    label_ends(axis, [end for end in ends if end])


def _shares_panel(axis: Axes, rows: Rows) -> None:
    ends = []
    for column, (sign, colour) in _CODES.items():
        # The shares of −1 and +1 are often the same to the eye; dashes let both be seen.
        mean = _band(axis, _by_tokens(rows, column), colour, "--" if sign == "+1" else "-")
        ends.append(_end(sign, mean, colour))
    label(axis, "Ternary codes (line: mean over layers, band: lowest to highest)", "share")
    axis.set_ylim(bottom=0)
    label_ends(axis, [end for end in ends if end])


def _flips_panel(axis: Axes, rows: Rows) -> None:
    values = _by_tokens(rows, "flip_rate")
    mean = _band(axis, values, PALETTE[2])
    label(axis, "Weights that changed their code since the last look", "flip rate (share)")
    lowest = min((v for layer in values.values() for v in layer), default=0.0)
    if lowest > 0:
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    if end := _end("mean", mean, PALETTE[2], places=5):
        label_ends(axis, [end])


def _draw(axis: Axes, line: Curve, colour: str, light: bool, dash: str = "-") -> None:
    """One curve; few points get dots, so that a single one is seen at all."""
    marker = "o" if len(line.values) <= (1 if light else _DOTS_UP_TO) else None
    (drawn,) = axis.plot(line.tokens, line.values, color=colour, marker=marker, markersize=3.5)
    drawn.set(linewidth=1.0 if light else 1.9, alpha=0.4 if light else 1.0, linestyle=dash)


def _band(axis: Axes, values: LayerValues, colour: str, dash: str = "-") -> Curve:
    """Band over layers and their mean, which is returned."""
    tokens = sorted(values)
    low, high = ([pick(values[t]) for t in tokens] for pick in (min, max))
    mean = Curve(tokens, [fmean(values[t]) for t in tokens])
    axis.fill_between(tokens, low, high, color=colour, alpha=0.15, linewidth=0)
    _draw(axis, mean, colour, light=False, dash=dash)
    return mean


def _by_tokens(rows: Rows, column: str) -> LayerValues:
    """Values of all layers at each look."""
    found: LayerValues = defaultdict(list)
    for row in rows:
        value, tokens = row[column], row["tokens"]
        if value is not None and tokens is not None:
            found[tokens].append(value)
    return dict(found)


def _end(name: str, line: Curve, colour: str, places: int = 3) -> EndLabel | None:
    if not line:
        return None
    return EndLabel(f"{name}  {digits(line.values[-1], places)}", line.values[-1], colour)
