"""The runs of a sweep side by side: what was varied, how each ended, and its final numbers."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bitnet.runs.curves import Curve, Rows, curve, last
from bitnet.runs.differences import ABSENT, SEED, Flat, flat_config, short_names, telling, varying
from bitnet.runs.directory import RunDirectory, find_runs
from bitnet.runs.errors import RunError
from bitnet.runs.status import status

_FINAL = ("train/loss", "val/loss", "val/bits_per_byte")


@dataclass(frozen=True)
class SweepRow:
    """One run of a sweep.

    Attributes:
        run: its folder, relative to the sweep's.
        state: as :class:`~bitnet.runs.status.Status` has it, or ``unreadable``.
        error: one line, if it failed or cannot be read.
        differences: every config key in which runs of the sweep differ, with this run's value.
        told_by: the few of those keys that tell the runs apart.
        tokens: trained.
        final: newest value of each loss column, in total and by source, and
            ``tokens_per_second``, the median over the run.
        val: validation loss against tokens.
        train: training loss against tokens.
    """

    run: str
    state: str
    error: str | None = None
    differences: Flat = field(default_factory=dict)
    told_by: tuple[str, ...] = ()
    tokens: int = 0
    final: dict[str, float] = field(default_factory=dict)
    val: Curve = field(default_factory=lambda: Curve([], []))
    train: Curve = field(default_factory=lambda: Curve([], []))

    @property
    def variant(self) -> str:
        """What this run tries, without its seed: ``linear.kind=bitnet, lr=0.001``."""
        names = short_names([key for key in self.told_by if key != SEED])
        return ", ".join(f"{name}={self.differences[key]}" for key, name in names.items())


def collect(sweep_dir: str | Path, now: float | None = None) -> list[SweepRow]:
    """A row for each run below ``sweep_dir``, by path; failed and unreadable ones too.

    Raises:
        RunError: there is no run below ``sweep_dir``.
    """
    root, moment = Path(sweep_dir), time.time() if now is None else now
    runs = [run for run in find_runs(root) if run.path != root]
    if not runs:
        raise RunError(f"{sweep_dir}: there is no run below it")
    configs = [_config_or_nothing(run) for run in runs]
    known = [config for config in configs if config]
    keys = varying(known)
    told_by = tuple(telling(keys, known))
    rows = []
    for run, config in zip(runs, configs, strict=True):
        differences = {key: config.get(key, ABSENT) for key in keys}
        rows.append(_row(run, root, differences, told_by, moment))
    return rows


def by_variant(rows: Sequence[SweepRow]) -> dict[str, list[SweepRow]]:
    """Runs that differ in nothing but their seed, together, in the order of ``rows``."""
    groups: dict[str, list[SweepRow]] = defaultdict(list)
    for row in rows:
        groups[row.variant].append(row)
    return dict(groups)


def _config_or_nothing(run: RunDirectory) -> Flat:
    """An unreadable config is reported in the run's own row, which reads it again."""
    try:
        return flat_config(run)
    except RunError:
        return {}


def _row(
    run: RunDirectory, root: Path, differences: Flat, told_by: tuple[str, ...], now: float
) -> SweepRow:
    name = run.path.relative_to(root).as_posix()
    try:
        flat_config(run)
        now_at = status(run, now)
        rows = run.metrics().read() if run.metrics_file.exists() else []
    except RunError as error:
        return SweepRow(name, "unreadable", str(error), differences, told_by)
    return SweepRow(
        name,
        now_at.state,
        now_at.error,
        differences,
        told_by,
        now_at.tokens,
        _final(rows),
        curve(rows, "val/loss"),
        curve(rows, "train/loss"),
    )


def _final(rows: Rows) -> dict[str, float]:
    columns = [
        column
        for column in (rows[0] if rows else ())
        if column in _FINAL or column.startswith(tuple(f"{name}/" for name in _FINAL))
    ]
    values = {column: last(rows, column) for column in columns}
    rates = curve(rows, "tokens_per_second").values
    values["tokens_per_second"] = median(rates) if rates else None
    return {column: value for column, value in values.items() if value is not None}
