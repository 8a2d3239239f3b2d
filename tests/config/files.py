"""Every YAML of the project by name, and how to compose what asks for a folder of data."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from omegaconf import OmegaConf

from bitnet.config import TrainConfig
from bitnet.config.compose import compose_config, expand_sweep, to_object
from bitnet.config.paths import config_home

CONFIGS = config_home() / "configs"
STUDIES = config_home() / "conf_experiments"


def choices(folder: Path) -> list[str]:
    """Names of the files under a group, sub-folders included."""
    return sorted(f.relative_to(folder).with_suffix("").as_posix() for f in folder.rglob("*.yaml"))


MODELS = choices(CONFIGS / "model")
EXPERIMENTS = choices(STUDIES / "experiment")
SWEEPS = choices(STUDIES / "sweep")


@cache
def composed(*overrides: str) -> TrainConfig:
    """A training config; a folder of data that it asks for is made up."""
    config = compose_config("train", list(overrides))
    if "root" in config.data and not config.data.root:
        config.data.root = "somewhere"
    if "path" in config.data and not config.data.path:
        config.data.path = "somewhere"
    found: TrainConfig = to_object(config)
    return found


def model(name: str, *overrides: str) -> TrainConfig:
    """The config of a model by itself."""
    return composed(f"model={name}", *overrides)


def jobs(sweep: str) -> list[list[str]]:
    """The overrides of each job of a sweep file."""
    node = OmegaConf.load(STUDIES / "sweep" / f"{sweep}.yaml")
    swept = [f"{key}={values}" for key, values in node.hydra.sweeper.params.items()]
    return [[f"sweep={sweep}", *job] for job in expand_sweep(swept)]


JOBS = [job for sweep in SWEEPS for job in jobs(sweep)]
