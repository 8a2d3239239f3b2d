"""Passes over each source that a run will make, told before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitnet.data.errors import DataError
from bitnet.data.mix import MixSpec, shares_of
from bitnet.data.sizes import Size


@dataclass(frozen=True, slots=True)
class Passes:
    """What a run will ask of one source.

    Attributes:
        source: its name.
        tokens: tokens that the run will take from it.
        size: tokens that it has.
        epochs: passes over it, or `None` if its size is unknown.
    """

    source: str
    tokens: float
    size: Size
    epochs: float | None


def expected_passes(
    mix: MixSpec, sizes: Mapping[str, Size], tokens: int, held_out_fraction: float
) -> list[Passes]:
    """Passes over each source in a run of `tokens` tokens.

    Args:
        mix: a resolved mix.
        sizes: tokens of each source; counted ones are of the training documents alone, others of
            all documents.
        tokens: tokens of the run.
        held_out_fraction: share of the documents that never trains.
    """
    return [
        _passes(name, share * tokens, sizes[name], held_out_fraction)
        for name, share in shares_of(mix, tokens).items()
    ]


def _passes(name: str, tokens: float, size: Size, held_out_fraction: float) -> Passes:
    if not size.tokens:
        return Passes(name, tokens, size, None)
    trains = size.tokens if size.origin == "counted" else size.tokens * (1 - held_out_fraction)
    return Passes(name, tokens, size, tokens / trains)


def pass_warnings(mix: MixSpec, passes: list[Passes]) -> list[str]:
    """One line about sources that are read too often, and one for each that ends too soon."""
    often = [each for each in passes if each.epochs is not None and each.epochs > mix.warn_epochs]
    found = []
    if often:
        named = ", ".join(f"{each.source} {each.epochs:.1f}" for each in often)
        found.append(
            f"mix: more than mix.warn_epochs={mix.warn_epochs:g} passes over the data: {named}"
        )
    return found + [line for each in passes if (line := _ends_early(mix, each))]


def refuse_short(mix: MixSpec, passes: list[Passes]) -> None:
    """Refuse a run whose counted data cannot last; what is estimated is only warned of.

    Raises:
        DataError: a source may not be read as often as the budget needs.
    """
    counted = [each for each in passes if each.size.origin == "counted"]
    lines = [line for each in counted if (line := _ends_early(mix, each))]
    if lines:
        raise DataError("; ".join(lines))


def _ends_early(mix: MixSpec, passes: Passes) -> str:
    """That the source ends before the run, or nothing."""
    limit = mix.max_epochs.get(passes.source)
    if limit is None or passes.epochs is None or passes.epochs <= limit:
        return ""
    return (
        f"mix.max_epochs.{passes.source}: {limit} is less than the {passes.epochs:.2f} passes that "
        f"budget.tokens needs; the data ends after about {limit / passes.epochs:.0%} of the run"
    )
