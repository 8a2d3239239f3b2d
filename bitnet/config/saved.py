"""A run's config as plain data: written into the run and its checkpoints, read back typed.

``config.yaml`` must be readable by anybody, so it holds plain values; the kinds of the polymorphic
sections are kept beside it. Reading back goes through the same schemas as composing does.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from bitnet.config.compose import to_object
from bitnet.config.errors import ConfigError, explain, nearest
from bitnet.config.schema import KINDS, TrainConfig

Plain = dict[str, Any]

# A resumed run keeps these to the letter; everything else may be given anew.
FIXED = (
    "seed",
    "tokenizer",
    "batch.size",
    "batch.sequence_length",
    "batch.document_mask",
    "model",
    "linear.kind",
    "linear.norm",
    "linear.stage",
    "quantization",
    "init_from",
    "data",
    "mix",
    "stream.streams",
    "stream.shuffle_megabytes",
    "stream.on_bad_record",
    "validation.fraction",
    "validation.tokens_per_source",
    "optimizer",
    "precision",
)

# Within those: where the same data lies, how it is reached, and what is said about it. That it is
# the same is checked when it is opened.
_FREE = ("data.root", "data.path", "data.verify", "data.network", "mix.warn_epochs")

# Where and how a run is watched says nothing about what it is.
_INCIDENTAL = (
    "run_dir",
    "resume",
    "logger.wandb",
    "callbacks",
    "stream.workers",
    "data.verify",
    "data.network",
    "mix.warn_epochs",
)


def to_plain(config: TrainConfig) -> Plain:
    """The config as plain containers, everything resolved."""
    plain = OmegaConf.to_container(OmegaConf.structured(config), resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def to_yaml(config: TrainConfig) -> str:
    """The config as it stands in ``config.yaml``."""
    return OmegaConf.to_yaml(OmegaConf.create(to_plain(config)))


def read_plain(path: Path) -> Plain:
    """What ``config.yaml`` holds.

    Raises:
        ConfigError: it is not YAML, or not a mapping.
    """
    try:
        plain = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(f"{path}: is not YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(plain, dict):
        raise ConfigError(f"{path}: is not a mapping of keys to values")
    return {str(key): value for key, value in plain.items()}


def kinds_of(config: TrainConfig) -> dict[str, str]:
    """Which kind each polymorphic section is of: what plain data cannot say."""
    return {
        group: next(k for k, cls in known.items() if type(getattr(config, group)) is cls)
        for group, known in KINDS.items()
    }


def from_plain(
    plain: Plain, kinds: dict[str, str], overrides: list[str] | None = None
) -> TrainConfig:
    """The typed config of a saved run, with single values overridden.

    Args:
        plain: as written by :func:`to_plain`.
        kinds: as written by :func:`kinds_of`.
        overrides: ``path=value`` each.

    Raises:
        ConfigError: an override names an unknown key or a whole group, or a value is ill-typed.
    """
    node = _skeleton(kinds)
    try:
        node.merge_with(OmegaConf.create(plain))
        for key, value in _single_values(overrides or [], node):
            OmegaConf.update(node, key, value)
    except (OmegaConfBaseException, HydraException) as error:
        raise ConfigError(explain(error, node)) from error
    config: TrainConfig = to_object(node)
    return config


def changed_identity(saved: TrainConfig, asked: TrainConfig) -> list[str]:
    """What ``asked`` changes that a resumed run must keep, a line each."""
    old, new = (OmegaConf.structured(each) for each in (saved, asked))
    found = []
    for path in FIXED:
        before, after = (_leaves(path, OmegaConf.select(each, path)) for each in (old, new))
        for key in sorted(before | after):
            if before.get(key) != after.get(key) and not _lies_in(key, _FREE):
                found.append(
                    f"{key}: the run has {before.get(key)}, asked is {after.get(key)}; "
                    "a resumed run keeps it (start a new run to change it)"
                )
    return found


def config_id(config: TrainConfig) -> str:
    """A short hash of what the run is, whatever its folder and its loggers."""
    node = OmegaConf.structured(config)
    plain = OmegaConf.to_container(node, resolve=True)
    assert isinstance(plain, dict)
    leaves = {
        key: value for key, value in _leaves("", plain).items() if not _lies_in(key, _INCIDENTAL)
    }
    return hashlib.sha256(json.dumps(leaves, sort_keys=True).encode()).hexdigest()[:12]


def _lies_in(key: str, paths: tuple[str, ...]) -> bool:
    return any(key == path or key.startswith(f"{path}.") for path in paths)


def _skeleton(kinds: dict[str, str]) -> DictConfig:
    node: DictConfig = OmegaConf.structured(TrainConfig)
    for group, kind in kinds.items():
        if kind not in KINDS[group]:
            raise ConfigError(f"{group}: this version has no kind '{kind}'")
        node[group] = OmegaConf.structured(KINDS[group][kind])
    return node


def _single_values(overrides: list[str], node: DictConfig) -> list[tuple[str, Any]]:
    pairs = []
    for override in OverridesParser.create().parse_overrides(overrides):
        key = override.key_or_group
        if "/" in key or (key in node and OmegaConf.is_config(node._get_node(key))):
            raise ConfigError(
                f"{key}: a resumed run keeps its groups; override single values, "
                f"such as budget.tokens=…"
            )
        if "." not in key and key not in node:
            raise ConfigError(f"{key}: there is no such key{nearest(key, [str(k) for k in node])}")
        pairs.append((key, override.value()))
    return pairs


def _leaves(path: str, value: Any) -> dict[str, Any]:
    """Dotted paths to the values below ``value``."""
    if OmegaConf.is_dict(value) or isinstance(value, dict):
        found: dict[str, Any] = {}
        for key in value:
            found |= _leaves(f"{path}.{key}" if path else str(key), value[key])
        return found
    return {path: OmegaConf.to_container(value) if OmegaConf.is_list(value) else value}
