"""Composes and checks everything that a command line asks for, before anything of it runs.

Hydra would report faults one at a time, and in a sweep only when the job's turn comes.
"""

from __future__ import annotations

import hashlib
import re
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bitnet.commands.sweeping.devices import check_devices
from bitnet.commands.sweeping.search_space import probes
from bitnet.commands.sweeping.study import check_study
from bitnet.config import ConfigError, TrainConfig, validate
from bitnet.config.compose import compose_config, expand_sweep, parse_overrides, to_object
from bitnet.config.store import stamp
from bitnet.config.sweeping import OptunaSpec, ProcessesSpec

# What does not make a sweep another sweep: how it is run and watched, and for how long it searches.
_INCIDENTAL = re.compile(
    r"[+~]*(run_dir|resume|callbacks|logger|stream\.workers|hydra/(?!sweeper)"
    r"|hydra\.(?!sweeper\.params))"
)


@dataclass(frozen=True)
class Sweep:
    """A sweep of training runs that is about to be launched.

    Attributes:
        folder: where its jobs go; the same for the same sweep.
        launcher: class name of Hydra's launcher.
    """

    folder: Path
    launcher: str


def check_run(config_name: str, flags: Namespace) -> None:
    """Compose the one job and validate it.

    Raises:
        ConfigError: a line a problem.
    """
    _validate([_composed(config_name, flags.overrides, flags)])


def check_sweep(config_name: str, flags: Namespace) -> Sweep | None:
    """Compose and validate every job of a sweep (of a search: its corners).

    Returns:
        The sweep, if it is one of training runs.

    Raises:
        ConfigError: all problems of all jobs, a line each.
    """
    parsed = parse_overrides(flags.overrides)
    fixed = [str(each.input_line) for each in parsed if not each.is_sweep_override()]
    whole = compose_config(config_name, fixed, flags.config_dir, with_hydra=True)
    configs = [_composed(config_name, job, flags) for job in _jobs(whole, flags.overrides)]
    _validate(configs)
    trained = [each for each in configs if isinstance(each, TrainConfig)]
    if not trained:
        return None
    launcher = str(whole.hydra.launcher._target_).rpartition(".")[2]
    if launcher == "ProcessLauncher":
        check_devices(_spec(whole.hydra.launcher, ProcessesSpec), trained)
    else:
        _refuse_ranks(launcher, trained)
    return Sweep(_folder(whole, flags.overrides), launcher)


def _composed(config_name: str, overrides: list[str], flags: Namespace) -> Any:
    return to_object(compose_config(config_name, overrides, flags.config_dir))


def _validate(configs: Sequence[Any]) -> None:
    problems: list[str] = []
    for config in configs:
        if isinstance(config, TrainConfig):
            try:
                validate(config)
            except ConfigError as error:
                problems += str(error).splitlines()
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))


def _jobs(whole: DictConfig, overrides: list[str]) -> list[list[str]]:
    """The overrides of each job that the sweeper will make, as far as that is known."""
    sweeper = whole.hydra.sweeper
    kind = str(sweeper._target_).rpartition(".")[2]
    if kind == "OptunaSweeper":
        spec = _spec(sweeper, OptunaSpec)
        check_study(spec)
        return probes(spec, overrides)
    params = (sweeper.get("params") or {}) if kind == "BasicSweeper" else {}
    return expand_sweep([*(f"{key}={value}" for key, value in params.items()), *overrides])


def _spec(node: DictConfig, kind: type) -> Any:
    return kind(**{str(key): node[key] for key in node})


def _refuse_ranks(launcher: str, configs: Sequence[TrainConfig]) -> None:
    # Lightning starts the other ranks by running the command of this process again. Within a
    # launcher's worker that is not the job's; only a cluster starts all ranks itself.
    if launcher == "SlurmLauncher":
        return
    if any(config.trainer.devices * config.trainer.nodes > 1 for config in configs):
        raise ConfigError(
            f"trainer.devices: {launcher} runs jobs on one device each; "
            "hydra/launcher=processes gives a job as many as it asks for"
        )


def _folder(whole: DictConfig, overrides: list[str]) -> Path:
    """The user's folder for the sweep, or in place of a time-stamped one a name that stays."""
    folder = Path(str(whole.hydra.sweep.dir))
    stamped = [n for n, part in enumerate(folder.parts) if stamp() in part]
    if not stamped:
        return folder
    choices = whole.hydra.runtime.choices
    names = [str(choices.get(group)) for group in ("experiment", "sweep") if choices.get(group)]
    kept = sorted(each for each in overrides if not _INCIDENTAL.match(each))
    digest = hashlib.sha256("\n".join(kept).encode()).hexdigest()[:8]
    name = "-".join([*names, digest] if names else ["sweep", digest]).replace("/", "_")
    return Path(*folder.parts[: stamped[0]]) / name
