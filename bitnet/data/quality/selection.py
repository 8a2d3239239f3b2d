"""Which documents a rule about scores keeps; ties go to the document that comes first."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bitnet.data.quality.spec import ScoresSpec


def selected(
    scores: NDArray[np.float64],
    tokens: NDArray[np.int64],
    groups: NDArray[np.int64],
    spec: ScoresSpec,
) -> NDArray[np.bool_]:
    """Apply the one rule that is set.

    Args:
        scores: of every document, in the order of the corpus.
        tokens: of every document.
        groups: number of every document's source.
        spec: the rule.

    Returns:
        Whether each document is kept.
    """
    if spec.threshold is not None:
        return np.asarray(scores >= spec.threshold)
    best_first = np.argsort(-scores, kind="stable")
    keep = np.zeros(len(scores), bool)
    if spec.token_budget is not None:
        fits = np.cumsum(tokens[best_first]) <= spec.token_budget
        keep[best_first[fits]] = True
        return keep
    assert spec.top_fraction is not None
    parts = np.unique(groups) if spec.per_source else [None]
    for group in parts:
        mine = best_first if group is None else best_first[groups[best_first] == group]
        keep[mine[: documents_of(spec.top_fraction, len(mine))]] = True
    return keep


def documents_of(fraction: float, count: int) -> int:
    """A share of `count` documents, rounded up; 0.1 of 30 are 3 in spite of binary fractions."""
    return math.ceil(round(fraction * count, 6))
