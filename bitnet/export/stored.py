"""Weights on disk in the names of our models, and how they get into one.

Names and shapes are read first, values one tensor at a time; so a misfit is found at once, and
loading needs no second copy of a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bitnet.export.errors import WeightsError
from bitnet.nn import LinearSpec, ModelShape, Transformer

Sizes = Mapping[str, tuple[int, ...]]

# These say how a model begins or what it is called, not what its weights compute.
_FREE = ("name", "max_sequence_length", "init", "init_std")
# Fields with a default that other fields give, and the property that is never unset.
_DERIVED = {"kv_heads": "key_value_heads", "head_dim": "head_width"}
_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
_SHOWN = 3


@dataclass(frozen=True)
class StoredWeights:
    """A model on disk.

    Attributes:
        place: where it came from, for messages and records.
        shape: what its own configuration says it is.
        linear: what its linear layers are.
        sizes: our parameter names to shapes.
        read: gives names and values, one tensor at a time.
        tokenizer: its ``tokenizer.json``, if it brings one.
    """

    place: str
    shape: ModelShape
    linear: LinearSpec
    sizes: Sizes
    read: Callable[[], Iterator[tuple[str, Tensor]]]
    tokenizer: Path | None


def check_fits(stored: StoredWeights, shape: ModelShape, linear: LinearSpec) -> None:
    """Refuse weights that are not those of the model asked for.

    Dense, ternary and binary layers hold the same weights, so their kind may differ; and a model
    may have sub-norms that the weights lack.

    Raises:
        WeightsError: a line for each difference, and the overrides that would fit.
    """
    differences = _differences(stored, shape, linear)
    if differences:
        lines = [
            f"{path}: {_plain(asked)}, but {stored.place} has {_plain(there)}"
            for path, (asked, there) in differences.items()
        ]
        overrides = (f"{path}={_plain(there)}" for path, (_, there) in differences.items())
        raise WeightsError("\n".join([*lines, f"it would fit with {' '.join(overrides)}"]))
    with torch.device("meta"):
        net = Transformer(shape, linear)
    _fresh_names(net, stored)


def take_over(net: Transformer, stored: StoredWeights) -> list[str]:
    """Copy the weights into ``net``'s fp32 masters.

    Returns:
        Names of the parameters that keep their initial value, since nothing is stored for them.

    Raises:
        WeightsError: tensors are missing, unknown, of another shape, or hold no plain numbers.
    """
    fresh = _fresh_names(net, stored)
    parameters = dict(net.named_parameters())
    for name, value in stored.read():
        if value.dtype not in _FLOATS:
            raise WeightsError(
                f"{stored.place}: '{name}' is stored as {_plain(value.dtype)}; only full-precision "
                "weights can be trained on (fp32, bf16, fp16)"
            )
        with torch.no_grad():
            parameters[name].copy_(value)
    return fresh


def _fresh_names(net: Transformer, stored: StoredWeights) -> list[str]:
    """Sub-norms that the weights lack; any other disagreement of names or shapes is refused."""
    wanted = {name: tuple(each.shape) for name, each in net.named_parameters()}
    missing = [name for name in wanted if name not in stored.sizes]
    fresh = [name for name in missing if "_sub_norm." in name]
    reasons = _listing("lacks", [name for name in missing if name not in fresh])
    reasons += _listing("has no place for", [name for name in stored.sizes if name not in wanted])
    reasons += _listing(
        "has another shape for",
        [
            f"{name} {list(stored.sizes[name])}, wanted {list(size)}"
            for name, size in wanted.items()
            if name in stored.sizes and stored.sizes[name] != size
        ],
    )
    if reasons:
        raise WeightsError("\n".join(f"{stored.place}: {reason}" for reason in reasons))
    return fresh


def _listing(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{what} {', '.join(names[:_SHOWN])}{more}"]


def _differences(
    stored: StoredWeights, shape: ModelShape, linear: LinearSpec
) -> dict[str, tuple[Any, Any]]:
    """Config path to (asked, stored), for what would compute something else."""
    pairs = {f"model.{name}": pair for name, pair in _shape_differences(shape, stored.shape)}
    pairs["linear.norm"] = (linear.norm, stored.linear.norm)
    if "stage" in (linear.kind, stored.linear.kind):
        pairs["linear.kind"] = (linear.kind, stored.linear.kind)
    if linear.kind == stored.linear.kind == "stage":
        stages = asdict(linear.stage), asdict(stored.linear.stage)
        pairs |= {f"linear.stage.{key}": (stages[0][key], stages[1][key]) for key in stages[0]}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def _shape_differences(
    asked: ModelShape, there: ModelShape
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Field to (asked, stored); what follows from another field comes only if it would not."""
    free = {*_FREE, *_DERIVED, *(["sub_norm"] if asked.sub_norm else [])}
    free -= {"max_sequence_length"} if asked.position == "learned" else set()
    names = [name for name in asdict(asked) if name not in free]
    changed = [name for name in names if getattr(asked, name) != getattr(there, name)]
    fitted = replace(asked, **{name: getattr(there, name) for name in changed})
    derived = [
        name
        for name, meaning in _DERIVED.items()
        if getattr(fitted, meaning) != getattr(there, meaning)
    ]
    for name in [*changed, *derived]:
        yield name, (getattr(asked, name), getattr(there, name))


def _plain(value: Any) -> str:
    """A value as it is written in an override."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return str(value).removeprefix("torch.")
