"""The runs of a sweep side by side: what was varied, how each ended, and its final numbers."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from bitnet.runs.curves import Curve, Rows, curve, last
from bitnet.runs.differences import (
    ABSENT,
    SEED,
    Flat,
    flat,
    flat_config,
    short_names,
    telling,
    varying,
)
from bitnet.runs.directory import RunDirectory, find_runs
from bitnet.runs.errors import RunError
from bitnet.runs.human import brief
from bitnet.runs.status import status
from bitnet.runs.sweep_jobs import DONE, JobNote, natural, noted_jobs

_FINAL = ("train/loss", "val/loss", "val/bits_per_byte")


@dataclass(frozen=True)
class SweepRow:
    """One run of a sweep.

    Attributes:
        run: its folder, relative to the sweep's.
        state: as :class:`~bitnet.runs.status.Status` has it, ``unreadable``, or of a job that
            never became a run, what its launcher wrote.
        error: one line, if it failed or cannot be read.
        differences: every config key in which runs of the sweep differ, with this run's value.
        told_by: the few of those keys that tell the runs apart.
        tokens: trained.
        final: newest value of each loss column, in total and by source, and
            ``tokens_per_second``, the median over the run.
        val: validation loss against tokens.
        train: training loss against tokens.
        parameters: of the model, where known.
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
    parameters: int | None = None

    @property
    def variant(self) -> str:
        """What this run tries, without its seed: ``linear.kind=bitnet, lr=0.001``."""
        names = short_names([key for key in self.told_by if key != SEED])
        return ", ".join(f"{name}={brief(self.differences[key])}" for key, name in names.items())


def collect(sweep_dir: str | Path, now: float | None = None) -> list[SweepRow]:
    """A row for each run and job below ``sweep_dir``, by number; failed and unreadable ones too.

    Raises:
        RunError: there is neither run nor job below ``sweep_dir``.
    """
    root, moment = Path(sweep_dir), time.time() if now is None else now
    notes = dict(noted_jobs(root))
    runs = {run.path: run for run in find_runs(root) if run.path != root}
    places = sorted({*runs, *notes}, key=lambda place: _order(place.relative_to(root)))
    if not places:
        raise RunError(f"{sweep_dir}: there is no run below it")
    configs = _configs(places, notes)
    known = [config for config in configs if config]
    keys = varying(known)
    told_by = tuple(telling(keys, known))
    rows = []
    for place, config in zip(places, configs, strict=True):
        differences = {key: config.get(key, ABSENT) for key in keys}
        row = SweepRow(place.relative_to(root).as_posix(), "unreadable", None, differences, told_by)
        rows.append(_filled(row, runs.get(place), notes.get(place), moment))
    return rows


def by_variant(rows: Sequence[SweepRow]) -> dict[str, list[SweepRow]]:
    """Runs that differ in nothing but their seed, together, in the order of ``rows``."""
    groups: dict[str, list[SweepRow]] = defaultdict(list)
    for row in rows:
        groups[row.variant].append(row)
    return dict(groups)


def _configs(places: Sequence[Path], notes: Mapping[Path, JobNote]) -> list[Flat]:
    """What each job was asked for; if that is not known of all, what each run resolved it to."""
    asked = [flat(notes[place].config) if place in notes else {} for place in places]
    if all(asked):
        return asked
    return [_config_or(RunDirectory(place), a) for place, a in zip(places, asked, strict=True)]


def _config_or(run: RunDirectory, fallback: Flat) -> Flat:
    """An unreadable config is reported in the run's own row, which reads it again."""
    try:
        return flat_config(run)
    except RunError:
        return fallback


def _filled(row: SweepRow, run: RunDirectory | None, note: JobNote | None, now: float) -> SweepRow:
    """``row`` with what came out, as the run has it or else the launcher's note."""
    if run is None:
        return replace(row, state=note.state, error=note.error) if note else row
    try:
        flat_config(run)
        now_at = status(run, now)
        rows = run.metrics().read() if run.metrics_file.exists() else []
        parameters = run.record()["parameters"]
    except RunError as error:
        return replace(row, error=str(error))
    late = note is not None and note.state == "failed" and now_at.state not in DONE
    return replace(
        row,
        state="failed" if late else now_at.state,
        error=now_at.error or (note.error if note and late else None),
        tokens=now_at.tokens,
        final=_final(rows),
        val=curve(rows, "val/loss"),
        train=curve(rows, "train/loss"),
        parameters=parameters["total"] if parameters else None,
    )


def _order(place: Path) -> list[tuple[int, int, str]]:
    return [natural(part) for part in place.parts]


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
