"""Composes a verb's configuration outside a Hydra job: to check it first, or from a notebook."""

from __future__ import annotations

import itertools
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from bitnet.config.errors import ConfigError, explain, nearest
from bitnet.config.paths import config_home
from bitnet.config.schema import TrainConfig
from bitnet.config.store import register


def compose_config(
    verb: str, overrides: list[str], config_dir: str | None = None, with_hydra: bool = False
) -> DictConfig:
    """The composed, typed config of ``verb``.

    Args:
        verb: name of a primary config: ``train``, ``eval`` or ``generate``; or ``plan``, which is
            ``train`` under a schema with further keys.
        overrides: as on the command line.
        config_dir: a further folder of group files.
        with_hydra: keep Hydra's own section.

    Raises:
        ConfigError: one line for the first fault.
    """
    register()
    own: list[str] = []
    if verb == "plan":
        verb, own = "train", ["schema=plan"]
    overrides = [*own, *overrides]
    if config_dir is not None:
        paths = [f"file://{config_dir}", f"file://{config_home()}/conf_experiments"]
        overrides = [f"hydra.searchpath=[{','.join(paths)}]", *overrides]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_home() / "configs"), version_base="1.3"):
        try:
            config = compose(verb, overrides=overrides, return_hydra_config=with_hydra)
        except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
            defaults = compose(verb, overrides=own) if overrides else OmegaConf.create()
            folders = [config_home() / "configs", config_home() / "conf_experiments"]
            folders += [] if config_dir is None else [Path(config_dir)]
            raise ConfigError(explain(error, defaults, partial(_choices, folders))) from error
    foreign = _foreign_keys(config, skip=("hydra",))
    if foreign:
        raise ConfigError("\n".join(foreign))
    return config


def _choices(folders: list[Path], group: str) -> list[str]:
    """Names of the files of a config group, sub-folders included; of Hydra's own, its options."""
    if group.startswith("hydra/"):
        return sorted(name.removesuffix(".yaml") for name in ConfigStore.instance().list(group))
    found = (
        file.relative_to(folder / group).with_suffix("").as_posix()
        for folder in folders
        for file in (folder / group).rglob("*.yaml")
    )
    return sorted(found)


def _foreign_keys(node: DictConfig, path: str = "", skip: tuple[str, ...] = ()) -> list[str]:
    """Keys that a ``+key=value`` put beside those of a schema: nothing would ever read them."""
    kind = OmegaConf.get_type(node)
    typed = isinstance(kind, type) and is_dataclass(kind)
    valid = [each.name for each in fields(kind)] if is_dataclass(kind) else []
    found = []
    # A dict may have keys that are numbers.
    for key, own in {str(each): each for each in node if each not in skip}.items():
        name = f"{path}{key}"
        if typed and key not in valid:
            hint = nearest(key, valid)
            found.append(f"{name}: there is no such key{hint} (valid: {', '.join(valid)})")
        elif not OmegaConf.is_missing(node, own) and isinstance(node._get_node(own), DictConfig):
            found += _foreign_keys(node[own], f"{name}.") if node[own] is not None else []
    return found


def to_object(config: DictConfig) -> Any:
    """The dataclass instance of a composed config.

    Raises:
        ConfigError: a required value is missing, or an interpolation cannot be resolved.
    """
    try:
        return OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error, config)) from error


def train_config(overrides: list[str]) -> TrainConfig:
    """A training config from overrides, for tests and notebooks."""
    config: TrainConfig = to_object(compose_config("train", overrides))
    return config


def parse_overrides(overrides: list[str]) -> list[Override]:
    """The overrides of a command line, understood.

    Raises:
        ConfigError: one cannot be parsed.
    """
    try:
        parsed: list[Override] = OverridesParser.create().parse_overrides(overrides)
    except HydraException as error:
        raise ConfigError(explain(error, OmegaConf.create())) from error
    return parsed


def expand_sweep(overrides: list[str]) -> list[list[str]]:
    """The jobs of a multirun: every combination of the swept values, as overrides each.

    Of a key that is given twice, the later value counts.

    Raises:
        ConfigError: an override cannot be parsed.
    """
    axes: dict[str, list[str]] = {}
    for override in parse_overrides(overrides):
        key = override.get_key_element()
        if override.value_type == ValueType.GLOB_CHOICE_SWEEP:
            continue  # which files there are, Hydra finds out
        if override.is_discrete_sweep():
            axes[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        elif override.is_sweep_override():
            continue  # a range of numbers for a sweeper to draw from; checked when drawn
        else:
            axes[key] = [str(override.input_line)]
    return [list(job) for job in itertools.product(*axes.values())]
