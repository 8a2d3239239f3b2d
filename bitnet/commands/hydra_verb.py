"""Runs a verb as a Hydra job or sweep, with every fault of the configuration found beforehand."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser

from bitnet.commands.faults import SweepError
from bitnet.commands.preflight import Sweep, check_run, check_sweep
from bitnet.commands.sweep import report_sweep
from bitnet.commands.sweeping import register_plugins
from bitnet.commands.sweeping.child import quoted
from bitnet.commands.sweeping.locks import only_one
from bitnet.commands.task import Job, Task
from bitnet.config.compose import compose_config
from bitnet.config.paths import config_home
from bitnet.config.store import register, stamp
from bitnet.runs.sweep_jobs import DONE, noted_jobs, owners


def run_verb(verb: str, config_name: str, job: Job, arguments: list[str]) -> None:
    """Compose ``arguments``, check the result, then run ``job(config, overrides)`` under Hydra.

    Raises:
        ConfigError: one line a problem, found before anything ran.
        SweepError: jobs of a sweep failed; the others were run all the same.
    """
    register()
    register_plugins()
    # Hydra's parser wants all overrides on one side of a flag; people put -m anywhere.
    arguments = sorted(arguments, key=lambda each: each not in ("-m", "--multirun"))
    flags = get_args_parser().parse_args(arguments)
    if flags.multirun and verb != "train" and config_name == "train":
        arguments = [*arguments, "hydra/launcher=basic"]  # the other one runs `bitnet train`
        flags.overrides.append(arguments[-1])
    if flags.cfg == "job" and not flags.resolve:
        arguments = ["--resolve", *arguments]  # values, not references to values
    task = Task(job, [sys.argv[0], *verb.split(), *arguments], bool(flags.multirun), stamp())
    sweep = _check(config_name, flags)
    if sweep is None:
        _launch(verb, config_name, task, arguments)
        _raise_faults(task)
        return
    task.known = owners(sweep.folder.absolute())
    with only_one(sweep.folder):
        try:
            here = f"hydra.sweep.dir={quoted(str(sweep.folder))}"
            _launch(verb, config_name, task, [*arguments, here])
        finally:
            report_sweep(sweep.folder)
    _raise_failures(sweep.folder, task.launch)


def _check(config_name: str, flags: Namespace) -> Sweep | None:
    if _only_shows(flags):
        if flags.cfg or flags.info:  # they print what composing gives; faults must read well
            compose_config(config_name, flags.overrides, flags.config_dir)
        return None
    if flags.multirun:
        return check_sweep(config_name, flags)
    check_run(config_name, flags)
    return None


def _only_shows(flags: Namespace) -> bool:
    """Whether the flags only ask Hydra to print something."""
    asked = (flags.hydra_help, flags.cfg, flags.info)
    return any(asked) or bool(flags.shell_completion) or bool(flags.experimental_rerun)


def _launch(verb: str, config_name: str, task: Task, arguments: list[str]) -> None:
    # Hydra reads the command line without the verb; Lightning starts other ranks with it.
    sys.argv = [f"bitnet {verb}", *arguments]
    folder = str(config_home() / "configs")
    try:
        hydra.main(version_base="1.3", config_path=folder, config_name=config_name)(task)()
    finally:
        sys.argv = task.command


def _raise_faults(task: Task) -> None:
    """What jobs in this process raised, once Hydra is done."""
    if task.sweep and task.faults:
        lines = "\n".join(str(fault) for fault in task.faults)
        raise SweepError(f"{len(task.faults)} job(s) failed\n{lines}")
    if task.faults:
        raise task.faults[0]


def _raise_failures(folder: Path, launch: str) -> None:
    """The jobs of this launch that left word of a failure in the sweep's ``folder``."""
    lines = [
        f"#{place.name}: {note.error or note.state}"
        for place, note in noted_jobs(folder)
        if note.launch == launch and note.state not in DONE
    ]
    if lines:
        raise SweepError("\n".join([f"{len(lines)} job(s) failed", *lines]))
