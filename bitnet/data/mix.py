"""The mixture: how much of the training each source gets.

Weights are by tokens, because every sample is packed full from one source before mixing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from bitnet.data.errors import describe_unknown

SUM_TOLERANCE = 1e-6
LARGEST_SOURCE_COUNT = 255
"""The source of a sample travels as one byte."""


def weights_problems(weights: Mapping[str, float], available: Iterable[str]) -> list[str]:
    """One line for everything wrong with a mix.

    Args:
        weights: share of the training tokens by source name.
        available: names of the sources that the corpus has.
    """
    if not weights:
        return ["no source has a weight"]
    names = sorted(available)
    found = [describe_unknown(name, names) for name in weights if name not in names]
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            found.append(f"'{name}' has weight {weight}; a weight is a number from 0 to 1")
    total = math.fsum(weights.values())
    if not abs(total - 1) <= SUM_TOLERANCE:
        found.append(f"the weights sum to {total:.6g}, not to 1")
    if len(weights) > LARGEST_SOURCE_COUNT:
        found.append(f"{len(weights)} sources are more than {LARGEST_SOURCE_COUNT}")
    return found
