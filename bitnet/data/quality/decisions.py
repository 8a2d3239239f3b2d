"""From what was read to what is dropped: the decisions that need all documents at once.

The order is that of `QualitySpec`. Rules for single documents come first, so that nothing dropped
by them stands for a duplicate that is good; scores select among what is good; then one of each set
of equal and of similar documents stays, exact before near because it is cheaper; benchmark text
goes last, so that the report says how much of what would have been trained on was contaminated.

Documents held out for validation are never dropped, whatever the steps: the validation set of a
run does not depend on them. In the deduplication they come first, so nothing like them is trained
on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitnet.data.errors import DataError
from bitnet.data.quality.columns import Columns, Numbers, SignatureFiles
from bitnet.data.quality.near import later_duplicates
from bitnet.data.quality.scores import ScoreFolder
from bitnet.data.quality.selection import selected
from bitnet.data.quality.spec import QualitySpec, ScoresSpec

LOW_SCORE = "scores: not selected"
EXACT, EXACT_HELD = "exact: duplicate", "exact: same as a held-out document"
NEAR, NEAR_HELD = "near: duplicate", "near: like a held-out document"


def decide(columns: Columns, spec: QualitySpec, folder: Path, corpus: Mapping[str, object]) -> None:
    """Set the reason of every document that is to be dropped.

    Args:
        columns: the documents; those that break a rule by themselves have their reason.
        spec: the steps.
        folder: where the units' files lie, and scratch files may.
        corpus: identity of the corpus, which the scores must be of.

    Raises:
        DataError: the scores are of another corpus, or lack a document.
    """
    if spec.scores.enabled:
        _by_score(columns, spec.scores, corpus)
    if spec.exact.enabled:
        _exact(columns, _waiting(columns, spec.exact.sources))
    if spec.near.enabled:
        _near(columns, _waiting(columns, spec.near.sources), spec, folder)
    if spec.decontaminate.enabled:
        asked = ~columns.held & (columns.benchmark >= 0) & (columns.code < 0)
        columns.code[asked] = columns.benchmark[asked]


def _waiting(columns: Columns, sources: list[str]) -> Numbers:
    """The documents of some sources that are still kept, held-out ones first."""
    rows = np.flatnonzero(columns.in_sources(sources) & (columns.code < 0))
    return rows[np.argsort(~columns.held[rows], kind="stable")]


def _by_score(columns: Columns, spec: ScoresSpec, corpus: Mapping[str, object]) -> None:
    folder = ScoreFolder.open(Path(spec.folder).expanduser())
    unasked = {f"data.{source}" for source, _ in columns.units if not spec.applies(source)}
    folder.check({key: value for key, value in corpus.items() if key not in unasked})
    asked = columns.in_sources(spec.sources) & ~columns.held & (columns.code < 0)
    scores, tokens = _scores_of(columns, folder, asked)
    keep = selected(scores, tokens, columns.source[asked], spec)
    columns.drop(np.flatnonzero(asked)[~keep], LOW_SCORE)


def _scores_of(
    columns: Columns, folder: ScoreFolder, asked: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], Numbers]:
    """Scores and tokens of the documents that are asked for."""
    scores, tokens = [np.zeros(0)], [np.zeros(0, np.int64)]
    for index, (source, unit) in enumerate(columns.units):
        rows = columns.rows_of(index)
        numbers = columns.number[rows][asked[rows]]
        if not len(numbers):
            continue
        given = folder.read(source, unit)
        missing = numbers[~np.isin(numbers, given["number"])]
        if len(missing):
            raise DataError(
                f"quality.scores.folder: record {missing[0]} of part {unit} of {source} has no "
                "score: the files have changed since they were scored"
            )
        place = np.searchsorted(given["number"], numbers)
        scores.append(given["score"][place])
        tokens.append(given["tokens"][place])
    return np.concatenate(scores), np.concatenate(tokens)


def _exact(columns: Columns, order: Numbers) -> None:
    """Keep the first of each set of equal documents."""
    _, first, group = np.unique(
        columns.exact[order], axis=0, return_index=True, return_inverse=True
    )
    stands = order[first[group.ravel()]]
    later = (stands != order) & ~columns.held[order]
    held = columns.held[stands]
    columns.drop(order[later & ~held], EXACT)
    columns.drop(order[later & held], EXACT_HELD)


def _near(columns: Columns, order: Numbers, spec: QualitySpec, folder: Path) -> None:
    """Keep the first of each set of similar documents; only documents with words take part."""
    groups = columns.source if not spec.near.across_sources else np.zeros_like(columns.source)
    with SignatureFiles(folder, columns) as files:
        order = order[files.signatures[order].any(axis=1)]
        stands = later_duplicates(
            files.bands, files.signatures, order, groups, spec.near.threshold, columns.held
        )
    later = (stands >= 0) & ~columns.held
    held = columns.held[stands]
    columns.drop(later & ~held, NEAR)
    columns.drop(later & held, NEAR_HELD)
