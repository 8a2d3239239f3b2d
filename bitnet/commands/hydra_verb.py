"""Runs a verb as a Hydra job, with every fault of the configuration found beforehand.

Hydra reports faults with a stack trace and one at a time, and in a sweep only when the job's turn
comes. So the command line is composed once without running anything; then Hydra runs it for real.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from bitnet.commands.sweep import report_sweep
from bitnet.config import ConfigError, TrainConfig, validate
from bitnet.config.compose import compose_config, expand_sweep, to_object
from bitnet.config.paths import config_home
from bitnet.config.store import register

Job = Callable[[Any, list[str]], Any]


def run_verb(verb: str, config_name: str, job: Job, arguments: list[str]) -> None:
    """Compose ``arguments``, check the result, then run ``job(config, overrides)`` under Hydra.

    Raises:
        ConfigError: one line a problem, found before anything ran.
    """
    register()
    flags = get_args_parser().parse_args(arguments)
    composed = [] if _only_shows(flags) else _check(config_name, flags)
    if flags.cfg or flags.info:  # these print what composing gives; a fault must still read well
        compose_config(config_name, flags.overrides, flags.config_dir)
    sweep = _sweep_folder(composed[0]) if flags.multirun and composed else None
    try:
        _launch(verb, config_name, job, arguments)
    finally:
        if sweep is not None:
            report_sweep(sweep)


def _only_shows(flags: Namespace) -> bool:
    """Whether the flags only ask Hydra to print something."""
    asked = (flags.help, flags.hydra_help, flags.cfg, flags.info)
    return any(asked) or bool(flags.shell_completion) or bool(flags.experimental_rerun)


def _check(config_name: str, flags: Namespace) -> list[TrainConfig]:
    """Compose every job and validate training configs; all problems of all jobs at once."""
    jobs = expand_sweep(flags.overrides) if flags.multirun else [flags.overrides]
    configs, problems = [], []
    for overrides in jobs:
        config = to_object(compose_config(config_name, overrides, flags.config_dir))
        configs.append(config)
        if isinstance(config, TrainConfig):
            try:
                validate(config)
            except ConfigError as error:
                problems += str(error).splitlines()
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    if flags.multirun and isinstance(configs[0], TrainConfig):
        _refuse_devices_in_sweep(configs)
    return configs


def _refuse_devices_in_sweep(configs: list[TrainConfig]) -> None:
    # Lightning starts the other ranks by running this command again, which would sweep again.
    if any(config.trainer.devices * config.trainer.nodes > 1 for config in configs):
        raise ConfigError(
            "trainer.devices: a sweep (-m) runs its jobs on one device each; "
            "launch multi-device runs one by one"
        )


def _sweep_folder(config: Any) -> Path | None:
    return Path(config.run_dir) if isinstance(config, TrainConfig) else None


def _launch(verb: str, config_name: str, job: Job, arguments: list[str]) -> None:
    def task(config: DictConfig) -> Any:
        runtime = HydraConfig.get()
        if "run_dir" in config:
            OmegaConf.update(config, "run_dir", runtime.runtime.output_dir)
            if runtime.mode is not None and runtime.mode.name == "MULTIRUN":
                _name_group(config, Path(runtime.sweep.dir).name)
        return job(to_object(config), list(runtime.overrides.task))

    sys.argv = [f"bitnet {verb}", *arguments]
    folder = str(config_home() / "configs")
    hydra.main(version_base="1.3", config_path=folder, config_name=config_name)(task)()


def _name_group(config: DictConfig, name: str) -> None:
    """W&B shows the jobs of a sweep as one group, unless the user named another."""
    if config.logger.wandb.group is None:
        config.logger.wandb.group = name
