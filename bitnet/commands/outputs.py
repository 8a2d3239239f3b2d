"""What watches a run: its loggers and its callbacks, in the order that they rely on."""

from __future__ import annotations

import netrc
import os
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, WandbLogger
from rich.console import Console

from bitnet.commands.build import mix_of
from bitnet.commands.settle import is_main_process
from bitnet.commands.sweeping.study import reporter
from bitnet.config import ConfigError, TrainConfig
from bitnet.config.instantiate import instantiate
from bitnet.config.saved import to_plain
from bitnet.config.validate import WANDB_MODES
from bitnet.data import Tokenizer
from bitnet.inference import SamplingSpec, generate
from bitnet.nn import Transformer
from bitnet.nn.counts import eight_bit_flops_per_token
from bitnet.runs import RunDirectory, metric_columns
from bitnet.training import callbacks as ours
from bitnet.training.console_logger import ConsoleLogger
from bitnet.training.csv_logger import CsvLogger
from bitnet.training.peak import Peak


def build_loggers(
    config: TrainConfig, run: RunDirectory, console: Console, wandb_id: str
) -> list[Logger]:
    """The metrics file and the console always; W&B if it is wanted. Other ranks have none."""
    if not is_main_process():
        return []
    loggers: list[Logger] = [
        CsvLogger(run, metric_columns(list(mix_of(config)), config.quantization.is_on)),
        ConsoleLogger(console, config.budget.tokens),
    ]
    if config.logger.wandb.enabled:
        loggers.append(_wandb_logger(config, run, wandb_id))
    return loggers


def _wandb_logger(config: TrainConfig, run: RunDirectory, wandb_id: str) -> WandbLogger:
    import wandb  # slow to import, and not every run wants it

    spec = config.logger.wandb
    experiment = wandb.init(
        name=config.name,
        id=wandb_id,
        resume="allow",
        mode=wandb_mode(spec.mode),
        project=spec.project,
        entity=spec.entity,
        group=spec.group,
        tags=list(spec.tags),
        job_type="train",
        dir=str(run.path),
        config=to_plain(config),
        allow_val_change=True,
        settings=wandb.Settings(console="off", silent=True),
    )
    # A resumed run repeats steps; against tokens the curves stay right.
    experiment.define_metric("tokens")
    experiment.define_metric("*", step_metric="tokens")
    return WandbLogger(experiment=experiment, log_model=False)


def wandb_mode(mode: str) -> Literal["online", "offline", "disabled"]:
    """``auto`` made definite: ``WANDB_MODE`` if set, online with a key, else offline."""
    if mode == "auto":
        mode = os.environ.get("WANDB_MODE") or ("online" if _has_wandb_key() else "offline")
    for known in ("online", "offline", "disabled"):
        if mode == known:
            return known
    raise ConfigError(f"logger.wandb.mode: '{mode}' is unknown (valid: {', '.join(WANDB_MODES)})")


def _has_wandb_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    file = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    try:
        return file.is_file() and netrc.netrc(file).authenticators(host) is not None
    except netrc.NetrcParseError:
        return False


def close_wandb(exit_code: int) -> None:
    """End the W&B run of this process, if there is one, so that the next job gets its own."""
    import wandb

    if wandb.run is not None:
        wandb.finish(exit_code=exit_code)


def build_callbacks(
    config: TrainConfig,
    run: RunDirectory,
    console: Console,
    net: Transformer,
    tokenizer: Tokenizer,
    peak: Peak,
) -> list[Callback]:
    """Ours in their order, then the user's own."""
    spec, every = config.callbacks, config.logger.every_tokens
    flops = net.flops_per_token(config.batch.sequence_length)
    speed = ours.Throughput(every, flops, peak, lambda: eight_bit_flops_per_token(net))
    found: list[Callback] = [ours.RankGuard(), speed]
    if is_main_process() or config.trainer.strategy == "fsdp":
        found += _observers(config, run, net, tokenizer)
    found.append(ours.MetricsWriter(every))
    if spec.trial.study is not None:
        found.append(_pruner(config, run))
    if spec.progress:
        found.append(ours.Progress(console))
    found.append(ours.RandomState())
    found.append(ours.HeartbeatWriter(run.heartbeat(spec.heartbeat_seconds)))
    saves = config.checkpoint
    found.append(
        ours.Checkpointer(run.checkpoints, saves.every_tokens, saves.every_minutes, saves.keep)
    )
    extra = (instantiate(f"callbacks.extra.{name}", node) for name, node in spec.extra.items())
    return [*found, *extra]


def _pruner(config: TrainConfig, run: RunDirectory) -> Callback:
    """What reports to the study that this run is a trial of; rank 0 speaks for all."""
    report = reporter(config.callbacks.trial, config.budget.tokens) if is_main_process() else None
    return ours.Pruner(report, lambda tokens: run.update_record(pruned_at=tokens))


def _observers(
    config: TrainConfig, run: RunDirectory, net: Transformer, tokenizer: Tokenizer
) -> list[Callback]:
    """What looks at the model and writes files of its own; a sharded one all have to look at."""
    spec, found = config.callbacks, list[Callback]()
    if spec.ternary.every_tokens and net.ternary_layers():
        found.append(ours.TernaryMonitor(run.ternary(), spec.ternary.every_tokens))
    if spec.samples.every_tokens and spec.samples.prompts:
        prompts, cadence = list(spec.samples.prompts), spec.samples.every_tokens
        writer = text_generator(tokenizer, spec.samples.sampling)
        found.append(ours.Sampler(run.samples(), writer, prompts, cadence))
    return found


def text_generator(tokenizer: Tokenizer, sampling: SamplingSpec) -> ours.Generate:
    """``(net, prompt) -> continuation`` with this tokenizer and these decoding settings."""

    def write(net: Transformer, prompt: str) -> str:
        ids = tokenizer.encode(prompt) or [tokenizer.eos_id]
        # A seed for each prompt, or all of them would draw the same numbers.
        own = replace(sampling, seed=sampling.seed + zlib.crc32(prompt.encode()))
        fresh = generate(net, ids, own, tokenizer.eos_id)
        return tokenizer.decode(fresh)

    return write
