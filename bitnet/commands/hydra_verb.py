"""Runs a verb as a Hydra job, with every fault of the configuration found beforehand.

Hydra reports faults with a stack trace and one at a time, and in a sweep only when the job's turn
comes. So the command line is composed once without running anything; then Hydra runs it for real.
"""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from bitnet.commands.faults import USER_FAULTS, SweepError
from bitnet.commands.sweep import report_sweep
from bitnet.config import ConfigError, TrainConfig, validate
from bitnet.config.compose import compose_config, expand_sweep, to_object
from bitnet.config.paths import config_home
from bitnet.config.store import register

_log = logging.getLogger(__name__)

Job = Callable[[Any, list[str]], Any]


def run_verb(verb: str, config_name: str, job: Job, arguments: list[str]) -> None:
    """Compose ``arguments``, check the result, then run ``job(config, overrides)`` under Hydra.

    Raises:
        ConfigError: one line a problem, found before anything ran.
        SweepError: jobs of a sweep failed; the others were run all the same.
    """
    register()
    # Hydra's parser wants all overrides on one side of a flag; people put -m anywhere.
    arguments = sorted(arguments, key=lambda each: each not in ("-m", "--multirun"))
    flags = get_args_parser().parse_args(arguments)
    composed = [] if _only_shows(flags) else _check(config_name, flags)
    if flags.cfg or flags.info:  # these print what composing gives; a fault must still read well
        compose_config(config_name, flags.overrides, flags.config_dir)
    if flags.cfg == "job" and not flags.resolve:
        arguments = ["--resolve", *arguments]  # values, not references to values
    outcome = _Outcome(job, sweep=bool(flags.multirun))
    _launch(verb, config_name, outcome, arguments)
    if flags.multirun and composed and isinstance(composed[0], TrainConfig):
        report_sweep(Path(composed[0].run_dir))
    outcome.close()


class _Outcome:
    """Runs jobs and keeps what they raise until Hydra, which would print stack traces, is done."""

    def __init__(self, job: Job, sweep: bool) -> None:
        self.job = job
        self.sweep = sweep
        self.faults: list[tuple[list[str], Exception]] = []

    def __call__(self, config: Any, overrides: list[str]) -> Any:
        try:
            return self.job(config, overrides)
        except Exception as error:
            self.faults.append((overrides, error))
            if not isinstance(error, USER_FAULTS):
                _log.exception("the job failed")
            elif self.sweep:
                _log.error("the job failed: %s", error)
            return None

    def close(self) -> None:
        """Raise what has been kept."""
        if not self.faults:
            return
        if not self.sweep:
            raise self.faults[0][1]
        lines = (f"{' '.join(overrides)}: {error}" for overrides, error in self.faults)
        raise SweepError(f"{len(self.faults)} job(s) failed\n" + "\n".join(lines))


def _only_shows(flags: Namespace) -> bool:
    """Whether the flags only ask Hydra to print something."""
    asked = (flags.hydra_help, flags.cfg, flags.info)
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


def _launch(verb: str, config_name: str, outcome: _Outcome, arguments: list[str]) -> None:
    # Hydra reads the command line without the verb; Lightning starts other ranks with it.
    whole = [sys.argv[0], *verb.split(), *arguments]

    def task(config: DictConfig) -> Any:
        sys.argv = whole
        runtime = HydraConfig.get()
        if "run_dir" in config:
            OmegaConf.update(config, "run_dir", runtime.runtime.output_dir)
            if outcome.sweep and config.logger.wandb.group is None:
                # W&B shows the jobs of a sweep as one group, unless the user named another.
                config.logger.wandb.group = Path(runtime.sweep.dir).name
        result = outcome(to_object(config), list(runtime.overrides.task))
        _remove_if_empty(Path(runtime.runtime.output_dir))
        return result

    sys.argv = [f"bitnet {verb}", *arguments]
    folder = str(config_home() / "configs")
    try:
        hydra.main(version_base="1.3", config_path=folder, config_name=config_name)(task)()
    finally:
        sys.argv = whole


def _remove_if_empty(folder: Path) -> None:
    """Hydra makes the folder before the job; a job refused at once leaves none."""
    if folder != Path.cwd() and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
