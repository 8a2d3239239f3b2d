"""In what the configs of several runs differ, which is what their sweep was about.

The resolved ``config.yaml`` of each run is flattened to dotted keys. Keys that vary together over
the runs (a model's width, depth and name) say the same thing, so tables show one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from bitnet.runs.directory import RunDirectory
from bitnet.runs.errors import RunError

SEED = "seed"
# What differs between any two runs without making them different experiments.
_NOT_COMPARED = {"run_dir", "resume", "name", "callbacks.trial.number"}
# Last parts that name a whole group: they tell most beside their group, and little without it.
_VAGUE = ("name", "kind")
ABSENT = "–"

Flat = dict[str, str]


def flat_config(run: RunDirectory) -> Flat:
    """The config of ``run`` as dotted keys and written values.

    Raises:
        RunError: ``config.yaml`` is not there or is not a YAML mapping.
    """
    try:
        content = yaml.safe_load(run.config_file.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RunError(f"{run.config_file}: cannot be read ({_one_line(error)})") from error
    if not isinstance(content, dict):
        raise RunError(f"{run.config_file}: is not a YAML mapping")
    return flat(content)


def flat(content: Mapping[str, Any]) -> Flat:
    """A nested mapping as dotted keys and written values."""
    return dict(_flatten(content, ""))


def varying(configs: Sequence[Flat]) -> list[str]:
    """Keys that do not have the same value in all ``configs``, in the order of the files."""
    keys = dict.fromkeys(key for config in configs for key in config)
    return [
        key
        for key in keys
        if key not in _NOT_COMPARED and len({config.get(key, ABSENT) for config in configs}) > 1
    ]


def telling(keys: Sequence[str], configs: Sequence[Flat]) -> list[str]:
    """The few of ``keys`` that tell the runs apart; what follows from those chosen is left out.

    The seed always stands for itself: two runs that differ in seed *and* in something else must
    not look like repetitions.
    """
    chosen: list[str] = []
    for key in sorted((key for key in keys if key != SEED), key=_preference):
        if _told_apart([*chosen, key], configs) > _told_apart(chosen, configs):
            chosen.append(key)
    return [key for key in keys if key == SEED or key in chosen]


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Each key's last part, or the whole key where that part would be ambiguous or say little."""
    parts = [key.split(".")[-1] for key in keys]
    plain = {part for part in parts if parts.count(part) == 1 and part not in _VAGUE}
    return {key: part if part in plain else key for key, part in zip(keys, parts, strict=True)}


def _flatten(node: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in node.items():
        if isinstance(value, dict) and value:
            pairs += _flatten(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", _written(value)))
    return pairs


def _written(value: Any) -> str:
    """As YAML would write it on one line."""
    if isinstance(value, str):
        return value
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6)
    return text.removesuffix("...\n").strip()


def _preference(key: str) -> tuple[bool, int]:
    """Names and kinds say most; then what lies highest in the config."""
    return key.split(".")[-1] not in _VAGUE, key.count(".")


def _told_apart(keys: Sequence[str], configs: Sequence[Flat]) -> int:
    """How many kinds of run these keys distinguish."""
    return len({tuple(config.get(key, ABSENT) for key in keys) for config in configs})


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
