"""Verb to function. Each takes the arguments after the verb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bitnet.config import ConfigError
from bitnet.config.store import renew_stamp


def train_verb(arguments: list[str]) -> None:
    """``bitnet train``: a new run, a sweep, or (``resume=RUN_DIR``) an old run going on."""
    from bitnet.commands.hydra_verb import run_verb
    from bitnet.commands.train import resume, train

    renew_stamp()
    given = [each for each in arguments if each.startswith("resume=")]
    if not given or given[-1] in ("resume=auto", "resume=null"):
        run_verb("train", "train", train, arguments)
        return
    others = [each for each in arguments if not each.startswith("resume=")]
    flags = [each for each in others if each.startswith("-")]
    if flags:
        raise ConfigError(f"resume: goes on with one run; '{flags[0]}' does not apply to it")
    resume(Path(given[-1].removeprefix("resume=")), others)


def eval_verb(arguments: list[str]) -> None:
    """``bitnet eval run=RUN_DIR``."""
    from bitnet.commands.evaluate import evaluate
    from bitnet.commands.hydra_verb import run_verb

    run_verb("eval", "eval", lambda config, _: evaluate(config) and None, arguments)


def generate_verb(arguments: list[str]) -> None:
    """``bitnet generate run=RUN_DIR prompt='…'``."""
    from bitnet.commands.generate import complete
    from bitnet.commands.hydra_verb import run_verb

    run_verb("generate", "generate", lambda config, _: complete(config) and None, arguments)


def status_verb(arguments: list[str]) -> None:
    """``bitnet status RUN_DIR``."""
    from bitnet.commands.status import show_status

    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise ConfigError("takes one run directory: bitnet status RUN_DIR")
    show_status(arguments[0])


def data_verb(arguments: list[str]) -> None:
    """``bitnet data inspect``."""
    from bitnet.commands.hydra_verb import run_verb
    from bitnet.commands.inspect import inspect

    if not arguments or arguments[0] != "inspect":
        raise ConfigError("says what to do with the data: bitnet data inspect [overrides]")
    here = "hydra.run.dir=."  # nothing is written, so no run directory is made
    run_verb("data inspect", "train", lambda config, _: inspect(config), [*arguments[1:], here])


def bench_verb(arguments: list[str]) -> None:
    """``bitnet bench train_step``."""
    from bitnet.commands.bench import bench

    bench(arguments)


def plan_verb(arguments: list[str]) -> None:
    """``bitnet plan``."""
    from bitnet.commands.plan import plan_verb as run_plan

    run_plan(arguments)


TABLE: dict[str, Callable[[list[str]], None]] = {
    "train": train_verb,
    "eval": eval_verb,
    "generate": generate_verb,
    "status": status_verb,
    "data": data_verb,
    "plan": plan_verb,
    "bench": bench_verb,
}
