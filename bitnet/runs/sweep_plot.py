"""The picture of a sweep: loss against tokens, a colour for each thing that was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from textwrap import shorten

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from bitnet.runs.canvas import PALETTE, EndLabel, colours, figure, label, label_ends, save
from bitnet.runs.curves import Curve
from bitnet.runs.sweep_rows import SweepRow, by_variant

_LABELLED = len(PALETTE)
"""How many variants can be told apart by colour; of more, only the best have their names."""


_LONGEST_NAME = 48  # characters beside a curve; more would leave no room for the curves


def draw(rows: Sequence[SweepRow], title: str, path: Path) -> bool:
    """Draw validation loss (or training loss, if no run was validated) of all runs into ``path``.

    Runs that differ only in their seed are one line, their mean, in a band from the lowest to the
    highest; one that stopped before the others is a dashed line of its own.

    Returns:
        Whether there was anything to draw.
    """
    validated = any(row.val for row in rows)
    groups: dict[str, list[Curve]] = {}
    for variant, runs in by_variant(rows).items():
        curves = [row.val if validated else row.train for row in runs]
        if found := [curve for curve in curves if curve]:
            groups[variant] = found
    if not groups:
        return False
    sheet, (axis,) = figure(title, panels=1)
    palette = _palette(rows, groups)
    finished = {row.variant for row in rows if row.state == "finished"} or set(groups)
    ends = {
        name: _line(axis, name, curves, palette[name], dashed=name not in finished)
        for name, curves in groups.items()
    }
    named = sorted(ends, key=lambda name: (name not in finished, ends[name].value))[:_LABELLED]
    notes = ["line: mean over seeds, band: lowest to highest"] if _repeated(groups) else []
    notes += [f"named: the best {len(named)} of {len(ends)}"] if len(named) < len(ends) else []
    note = f" ({'; '.join(notes)})" if notes else ""
    label(axis, f"{'Validation' if validated else 'Training'} loss{note}", "loss (nats per token)")
    label_ends(axis, [ends[name] for name in named])
    save(sheet, path)
    return True


def _repeated(groups: Mapping[str, Sequence[Curve]]) -> bool:
    return any(len(curves) > 1 for curves in groups.values())


def mean_and_range(curves: Sequence[Curve]) -> tuple[Curve, list[float], list[float]]:
    """Mean, lowest and highest of ``curves`` at the token counts that all of them have."""
    tables = [dict(zip(curve.tokens, curve.values, strict=True)) for curve in curves]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    columns = [[table[tokens] for table in tables] for tokens in shared]
    mean = Curve(shared, [fmean(values) for values in columns])
    return mean, [min(values) for values in columns], [max(values) for values in columns]


def _line(axis: Axes, name: str, curves: Sequence[Curve], colour: str, dashed: bool) -> EndLabel:
    """One variant: the runs that got furthest as mean and band, those that stopped early dashed."""
    furthest = max(curve.tokens[-1] for curve in curves)
    whole = [curve for curve in curves if curve.tokens[-1] == furthest]
    for curve in curves:
        if curve not in whole:
            axis.plot(curve.tokens, curve.values, color=colour, linewidth=1.0, linestyle="--")
    mean, low, high = mean_and_range(whole)
    width, style = (1.0, "--") if dashed else (1.8, "-")
    (line,) = axis.plot(mean.tokens, mean.values, color=colour, marker="o", markersize=3)
    line.set(linewidth=width, linestyle=style)
    axis.fill_between(mean.tokens, low, high, color=colour, alpha=0.2, linewidth=0)
    seeds = f" ({len(whole)} seeds)" if len(whole) > 1 else ""
    end = mean.values[-1]
    short_name = shorten(name or "all runs", _LONGEST_NAME, placeholder=" …")
    return EndLabel(f"{short_name}{seeds}  {end:.3f}", end, colour)


def _palette(rows: Sequence[SweepRow], groups: Mapping[str, Sequence[Curve]]) -> dict[str, str]:
    """One number varied: a scale from dark to light in its order. Otherwise distinct colours.

    More variants than colours get a scale as well, from the lowest loss to the highest.
    """
    keys = [key for key in rows[0].told_by if key != "seed"]
    order = _numbers(rows, keys[0]) if len(keys) == 1 else {}
    if len(order) < 3 or not set(groups) <= set(order):
        if len(groups) <= _LABELLED:
            return colours(list(groups))
        order = {name: min(curve.values[-1] for curve in curves) for name, curves in groups.items()}
    names, scale = sorted(groups, key=order.__getitem__), colormaps["viridis"]
    return {name: to_hex(scale(0.82 * n / (len(names) - 1))) for n, name in enumerate(names)}


def _numbers(rows: Sequence[SweepRow], key: str) -> dict[str, float]:
    """The value of ``key`` for each variant, where all are numbers; otherwise nothing."""
    try:
        return {row.variant: float(row.differences[key]) for row in rows}
    except ValueError:
        return {}
