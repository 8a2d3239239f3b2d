"""Verb to function. Each takes the arguments after the verb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bitnet.config import ConfigError
from bitnet.config.errors import nearest
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
    """``bitnet data`` and what to do with it: a name of ``DATA_TABLE``."""
    if not arguments or arguments[0] not in DATA_TABLE:
        hint = nearest(arguments[0], list(DATA_TABLE)) if arguments else ""
        known = ", ".join(DATA_TABLE)
        raise ConfigError(f"says what to do with the data: bitnet data VERB{hint} (valid: {known})")
    DATA_TABLE[arguments[0]](arguments[1:])


def data_list_verb(arguments: list[str]) -> None:
    """``bitnet data list [NAME]``."""
    from bitnet.commands.catalogue import list_data

    list_data(arguments)


def data_inspect_verb(arguments: list[str]) -> None:
    """``bitnet data inspect``."""
    from bitnet.commands.hydra_verb import run_verb
    from bitnet.commands.inspect import inspect

    here = "hydra.run.dir=."  # nothing is written, so no run directory is made
    run_verb("data inspect", "train", lambda config, _: inspect(config), [*arguments, here])


def data_at_verb(arguments: list[str]) -> None:
    """``bitnet data at RUN_DIR step=N``."""
    from bitnet.commands.seen import seen_verb

    seen_verb(arguments)


def data_verify_verb(arguments: list[str]) -> None:
    """``bitnet data verify DIR``."""
    from bitnet.commands.verify import verify_verb

    verify_verb(arguments)


def data_score_verb(arguments: list[str]) -> None:
    """``bitnet data score scorer.model=MODEL output=DIR``."""
    from bitnet.commands.hydra_verb import run_verb
    from bitnet.commands.score import score

    run_verb("data score", "score", lambda config, _: score(config) and None, arguments)


def prepare_verb(arguments: list[str]) -> None:
    """``bitnet prepare data=… output=DIR``."""
    from bitnet.commands.hydra_verb import run_verb
    from bitnet.commands.prepare import prepare_corpus

    run_verb("prepare", "prepare", lambda config, _: prepare_corpus(config) and None, arguments)


def bench_verb(arguments: list[str]) -> None:
    """``bitnet bench train``."""
    from bitnet.commands.bench import bench

    bench(arguments)


def plan_verb(arguments: list[str]) -> None:
    """``bitnet plan``."""
    from bitnet.commands.plan import plan_verb as run_plan

    run_plan(arguments)


DATA_TABLE: dict[str, Callable[[list[str]], None]] = {
    "list": data_list_verb,
    "inspect": data_inspect_verb,
    "at": data_at_verb,
    "score": data_score_verb,
    "verify": data_verify_verb,
}
TABLE: dict[str, Callable[[list[str]], None]] = {
    "train": train_verb,
    "eval": eval_verb,
    "generate": generate_verb,
    "status": status_verb,
    "data": data_verb,
    "prepare": prepare_verb,
    "plan": plan_verb,
    "bench": bench_verb,
}
