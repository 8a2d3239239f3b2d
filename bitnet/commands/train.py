"""``bitnet train``: a config becomes a run directory with a trained model in it."""

from __future__ import annotations

import secrets
import shlex
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rich.console import Console

from bitnet.commands.build import open_data
from bitnet.commands.fit import fit
from bitnet.commands.outputs import close_wandb
from bitnet.commands.report import print_summary
from bitnet.commands.settle import gpu_names, is_main_process, settle
from bitnet.commands.start import check_start
from bitnet.config import ConfigError, TrainConfig, validate
from bitnet.config.saved import (
    changed_identity,
    config_id,
    from_plain,
    kinds_of,
    read_plain,
    to_yaml,
)
from bitnet.data import Tokenizer, load_tokenizer
from bitnet.data.module import MixtureModule
from bitnet.runs import RunDirectory, find_latest
from bitnet.runs.metadata import collect
from bitnet.runs.record import timestamp


def train(config: TrainConfig, overrides: list[str] | None = None) -> float:
    """Train as ``config`` says, in a new run directory or (``resume=auto``) an unfinished one.

    Returns:
        The last validation loss in nats a token, for sweepers.

    Raises:
        ConfigError, DataError, RunError, CheckpointError: one line for the user.
    """
    validate(config)
    tokenizer = load_tokenizer(config.tokenizer)
    asked_id = config_id(config)
    config = settle(config, tokenizer)
    run = RunDirectory(Path(config.run_dir))
    if config.resume == "auto":
        unfinished = find_latest(run.path.parent, config_id(config))
        if unfinished is not None:
            return resume(unfinished.path, [])
    check_start(config, tokenizer)
    data = open_data(config, tokenizer)
    config = replace(config, mix=data.mix)  # whatever the rule, the weights are written down
    if is_main_process():
        run.create(to_yaml(config), _new_record(config, overrides or [], asked_id, data))
        tokenizer.save(run.path / "tokenizer.json")
    return _run(config, run, tokenizer, data)


def resume(path: Path, overrides: list[str]) -> float:
    """Go on with the run at ``path`` from its newest checkpoint, to the same bits.

    Args:
        path: a run directory.
        overrides: single values to change, such as ``budget.tokens``; what the run *is* stays.

    Raises:
        ConfigError: an override changes what the run is.
    """
    run = RunDirectory.open(path)
    kinds, plain = run.record()["kinds"], read_plain(run.config_file)
    saved = from_plain(plain, kinds)
    asked = from_plain(plain, kinds, overrides)
    changes = changed_identity(saved, asked)
    if changes:
        raise ConfigError("\n".join(changes))
    validate(asked)
    tokenizer = load_tokenizer(str(run.path / "tokenizer.json"))
    asked = settle(replace(asked, run_dir=str(run.path)), tokenizer)
    if is_main_process():
        if run.is_live():
            raise ConfigError(f"resume: {run.path} is still being trained by another process")
        note = {"time": timestamp(), "overrides": overrides}
        resumes = [*run.record()["resumes"], note]
        run.update_record(resumes=resumes, tokens_total=asked.budget.tokens)
    return _run(asked, run, tokenizer, open_data(asked, tokenizer))


def _run(
    config: TrainConfig, run: RunDirectory, tokenizer: Tokenizer, data: MixtureModule
) -> float:
    """Train, and leave a record of how it ended, whatever happens."""
    console, code = Console(), 1
    try:
        _note(run, state="running", error=None, ended=None, pruned_at=None)
        loss = fit(config, run, tokenizer, data, console)
        pruned = run.record()["pruned_at"] is not None
        _note(run, state="pruned" if pruned else "finished", ended=timestamp())
        code = 0
    except (KeyboardInterrupt, SystemExit) as stop:
        # Lightning turns Ctrl-C and SIGTERM into SystemExit after saving a checkpoint.
        _note(run, state="interrupted", error="interrupted", ended=timestamp())
        raise KeyboardInterrupt from stop
    except Exception as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        _note(run, state="failed", error=line, ended=timestamp())
        raise
    finally:
        close_wandb(code)
        torch._dynamo.reset()  # the next job of a sweep compiles for itself
    if is_main_process():
        print_summary(console, run)
    return loss


def _note(run: RunDirectory, **fields: object) -> None:
    if is_main_process():
        run.update_record(**fields)


def _new_record(
    config: TrainConfig, overrides: list[str], asked_id: str, data: MixtureModule
) -> dict[str, object]:
    """``run.json`` of a new run."""
    identity = config_id(config)
    passes = data.expected_passes(config.budget.tokens)
    return {
        "name": config.name,
        "command": shlex.join(["bitnet", "train", *overrides]),
        "overrides": overrides,
        "config_id": identity,
        "asked_id": asked_id,
        "kinds": kinds_of(config),
        "wandb_id": f"{identity}-{secrets.token_hex(4)}",
        "tokens_total": config.budget.tokens,
        "data_notes": config.data.notes(),
        "data_expected": [asdict(each) for each in passes],
        **collect({"gpus": gpu_names()}),
    }
