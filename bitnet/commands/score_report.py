"""The closing tables of ``bitnet data score``: the scores of each source, and what rules keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized

import numpy as np
from rich.table import Table

from bitnet.config.scoring import ScoreReport
from bitnet.data.quality import ScoresSpec
from bitnet.data.quality.scores import Rows, ScoreFolder
from bitnet.data.quality.selection import selected
from bitnet.training.display import short


def score_tables(
    folder: ScoreFolder, units: Mapping[str, Sized], report: ScoreReport
) -> tuple[Table, Table]:
    """A table of the sources and one of the rules that are asked about.

    Args:
        folder: the finished scores.
        units: the units of each source.
        report: the rules.
    """
    found = {
        name: np.concatenate([folder.read(name, number) for number in range(len(parts))])
        for name, parts in units.items()
    }
    return _sources_table(found), _rules_table(found, report)


def _sources_table(found: Mapping[str, Rows]) -> Table:
    table = Table("source", title="scores: P(yes)", title_justify="left")
    for column in ("documents", "tokens", "mean", "10 %", "median", "90 %"):
        table.add_column(column, justify="right")
    for name, rows in found.items():
        spread = np.quantile(rows["score"], [0.1, 0.5, 0.9]) if len(rows) else [np.nan] * 3
        mean = rows["score"].mean() if len(rows) else np.nan
        numbers = [f"{value:.3g}" for value in (mean, *spread)]
        table.add_row(name, f"{len(rows):,}", short(int(rows["tokens"].sum())), *numbers)
    return table


def _rules_table(found: Mapping[str, Rows], report: ScoreReport) -> Table:
    table = Table("keep", title="what would be kept of all of them", title_justify="left")
    epochs = [] if report.epochs_of is None else [f"epochs in {short(report.epochs_of)}"]
    for column in ("documents", "tokens", "lowest score", *epochs):
        table.add_column(column, justify="right")
    rows = np.concatenate(list(found.values()))
    groups = np.repeat(np.arange(len(found)), [len(each) for each in found.values()])
    for name, rule in _rules(report):
        kept = rows[selected(rows["score"], rows["tokens"], groups, rule)]
        tokens = int(kept["tokens"].sum())
        lowest = f"{kept['score'].min():.3g}" if len(kept) else "-"
        row = [f"{len(kept):,}", short(tokens), lowest]
        if report.epochs_of is not None:
            row.append(f"{report.epochs_of / tokens:.3g}" if tokens else "-")
        table.add_row(name, *row)
    return table


def _rules(report: ScoreReport) -> Iterator[tuple[str, ScoresSpec]]:
    yield "all", ScoresSpec(top_fraction=1.0)
    for fraction in report.fractions:
        yield f"best {100 * fraction:.4g} % of documents", ScoresSpec(top_fraction=fraction)
    for threshold in report.thresholds:
        yield f"score ≥ {threshold:.4g}", ScoresSpec(threshold=threshold)
    for budget in report.token_budgets:
        yield f"best {short(budget)} tokens", ScoresSpec(token_budget=budget)
