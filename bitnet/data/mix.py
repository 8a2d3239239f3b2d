"""The mixture: how much of the training each source gets.

Weights are by tokens, because every sample is packed full from one source before mixing. They are
written down, or follow from the sizes of the sources; and they may change in the course of a run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.sampler import MixtureOrder, WeightStage

SUM_TOLERANCE = 1e-6
LARGEST_SOURCE_COUNT = 255
"""The source of a sample travels as one byte."""

RULES = ("weights", "natural", "uniform", "temperature")


@dataclass
class MixStage:
    """Weights that replace the earlier ones from a number of trained tokens on."""

    from_tokens: int = 0
    weights: dict[str, float] = field(default_factory=dict)


@dataclass
class MixSpec:
    """How much of the training each source gets, and how often it may be read.

    Attributes:
        rule: "weights" takes them as written; "natural" makes them proportional to the sizes of
            the sources, "uniform" equal, "temperature" proportional to size ** (1 / temperature).
        weights: share of the training tokens by source; with another rule, empty, or the names of
            the sources that it is about (their values don't matter).
        temperature: 1 is natural, large is nearly uniform.
        stages: later weights, in the order of their tokens.
        max_epochs: most passes over a source, after which the run ends; a source that is not named
            repeats for ever, reshuffled in each pass.
        warn_epochs: passes over a source in the whole run above which a warning is given.
    """

    rule: str = "weights"
    weights: dict[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    stages: list[MixStage] = field(default_factory=list)
    max_epochs: dict[str, int] = field(default_factory=dict)
    warn_epochs: float = 4.0

    @property
    def names(self) -> list[str]:
        """Sources of all stages, in alphabetical order."""
        return sorted({*self.weights, *(name for stage in self.stages for name in stage.weights)})

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        if self.rule not in RULES:
            return [f"rule: {describe_unknown(self.rule, RULES)}"]
        found = []
        if self.rule == "weights":
            found += [f"weights: {line}" for line in weights_problems(self.weights, self.weights)]
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            found.append(f"temperature: {self.temperature} is not a positive number")
        found += self._stage_problems()
        for name, epochs in self.max_epochs.items():
            if self.names and name not in self.names:
                found.append(f"max_epochs: {describe_unknown(name, self.names)}")
            if epochs < 1:
                found.append(f"max_epochs.{name}: {epochs} is not at least 1")
        if not self.warn_epochs > 0:
            found.append(f"warn_epochs: {self.warn_epochs} is not a positive number")
        return found

    def _stage_problems(self) -> list[str]:
        found, before = [], 0
        for number, stage in enumerate(self.stages):
            at = f"stages[{number}]"
            lines = weights_problems(stage.weights, stage.weights)
            found += [f"{at}.weights: {line}" for line in lines]
            if stage.from_tokens <= before:
                found.append(
                    f"{at}.from_tokens: {stage.from_tokens} is not after {before}, where the "
                    "weights before it begin"
                )
            before = stage.from_tokens
        return found


def resolved(mix: MixSpec, sizes: Mapping[str, float]) -> MixSpec:
    """The mix with its weights written down, whatever its rule was.

    Args:
        mix: any mix.
        sizes: size of each source of the corpus, all in one unit; 0 for an unknown one.

    Raises:
        DataError: a named source does not exist, or the rule needs a size that is not known.
    """
    if mix.rule == "weights":
        return mix
    names = sorted(mix.weights or sizes)
    for name in names:
        if name not in sizes:
            raise DataError(f"mix.weights: {describe_unknown(name, sorted(sizes))}")
    power = {"natural": 1.0, "uniform": 0.0, "temperature": 1 / mix.temperature}[mix.rule]
    unknown = [name for name in names if not sizes[name] > 0]
    if power and unknown:
        raise DataError(
            f"mix.rule: '{mix.rule}' needs the sizes of all sources, but that of "
            f"{', '.join(unknown)} is not known; state data.published_tokens, or take rule=uniform"
        )
    largest = max(sizes[name] for name in names) or 1.0
    shares = {name: (sizes[name] / largest) ** power for name in names}
    total = math.fsum(shares.values())
    return replace(mix, rule="weights", weights={n: s / total for n, s in shares.items()})


def weights_problems(weights: Mapping[str, float], available: Iterable[str]) -> list[str]:
    """One line for everything wrong with weights.

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


def order_of(mix: MixSpec, seed: int, sequence_length: int) -> MixtureOrder:
    """The order of samples that a resolved mix stands for.

    A stage begins with the first sample that begins at or after its tokens.

    Args:
        mix: a mix whose rule is "weights"; source indices are places in `mix.names`.
        seed: key of the order.
        sequence_length: predicted tokens of a sample.
    """
    stages = [(0, mix.weights)]
    stages += [(-(-stage.from_tokens // sequence_length), stage.weights) for stage in mix.stages]
    return MixtureOrder(
        seed,
        tuple(
            WeightStage(first, tuple(weights.get(name, 0.0) for name in mix.names))
            for first, weights in stages
        ),
    )


def shares_of(mix: MixSpec, tokens: int) -> dict[str, float]:
    """Share of each source among the first `tokens` tokens of a resolved mix."""
    if not mix.stages:
        return {name: mix.weights[name] for name in mix.names}
    starts = [0, *(stage.from_tokens for stage in mix.stages)]
    weights = [mix.weights, *(stage.weights for stage in mix.stages)]
    ends = [*starts[1:], tokens]
    lengths = [max(0, min(end, tokens) - start) for start, end in zip(starts, ends, strict=True)]
    total = max(1, sum(lengths))
    return {
        name: math.fsum(w.get(name, 0.0) * n for w, n in zip(weights, lengths, strict=True)) / total
        for name in mix.names
    }
