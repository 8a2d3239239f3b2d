"""The heart of ``bitnet train``: build everything, let Lightning run, close the books."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import lightning
import torch
from rich.console import Console

from bitnet.commands.allocator import allocate
from bitnet.commands.build import build_module, build_net, build_trainer
from bitnet.commands.engines import engine_line
from bitnet.commands.outputs import build_callbacks, build_loggers
from bitnet.commands.report import print_header
from bitnet.commands.settle import device_type, is_main_process
from bitnet.commands.start import start_from
from bitnet.config import TrainConfig
from bitnet.config.saved import kinds_of, to_plain
from bitnet.data import Tokenizer
from bitnet.data.module import MixtureModule
from bitnet.nn import Transformer, cpu_norm
from bitnet.nn.attention_kernel import attention_kernel
from bitnet.nn.counts import eight_bit_flops_per_token
from bitnet.planning import published_peak
from bitnet.runs import RunDirectory
from bitnet.runs.plots import loss_curves, ternary_shares
from bitnet.training.callbacks import MetricsWriter
from bitnet.training.checkpoint_io import CHECKPOINT_FORMAT
from bitnet.training.module import PretrainingModule
from bitnet.training.peak import FORMULAE, Peak, device_peak
from bitnet.training.precision import compute_dtype

_log = logging.getLogger(__name__)


def fit(
    config: TrainConfig,
    run: RunDirectory,
    tokenizer: Tokenizer,
    data: MixtureModule,
    console: Console,
) -> float:
    """Train in ``run``, from its newest checkpoint if it has one.

    Returns:
        The last validation loss in nats a token.
    """
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    lightning.seed_everything(config.seed, verbose=False)
    allocate(config.trainer.cpu_allocator, device_type(config.trainer))
    net = build_net(config)
    checkpoint = run.latest_checkpoint()
    start = start_from(config, net) if checkpoint is None else run.record().get("init_from")
    module = build_module(config, net, tokenizer)
    module.header = _checkpoint_header(config)
    if is_main_process():
        counts = net.parameter_counts()
        run.update_record(data=data.fingerprint(), parameters=counts, init_from=start)
    device = torch.device(device_type(config.trainer))
    dtype, ternary = compute_dtype(config.precision.compute), bool(net.ternary_layers())
    peak = device_peak(device, dtype, published_peak, eight_bit=ternary)
    engine = engine_line(config, net, device)
    loggers = build_loggers(config, run, console, run.record()["wandb_id"])
    callbacks = build_callbacks(config, run, console, net, tokenizer, peak)
    trainer = build_trainer(config, run.path, loggers, callbacks)
    if is_main_process():
        _say_attention(config, device)
        _say_norms(config, device)
        run.update_record(engine=engine, arithmetic=_arithmetic(config, net, peak, device))
        print_header(console, config, run, net, checkpoint, peak, engine)
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    return _close(trainer, module, data, run)


def _arithmetic(
    config: TrainConfig, net: Transformer, peak: Peak, device: torch.device
) -> dict[str, Any]:
    """What the metrics' shares of the peak are made of; the peaks are those of one device."""
    return {
        "flops_per_token": net.flops_per_token(config.batch.sequence_length),
        "eight_bit_per_token": eight_bit_flops_per_token(net, device),
        "peak": peak.flops,
        "peak_source": peak.source,
        "peak_eight_bit": peak.eight_bit,
        **FORMULAE,
    }


def _say_attention(config: TrainConfig, device: torch.device) -> None:
    """Name the kernel of a GPU or of compiled blocks; plain products are worth a warning."""
    if device.type != "cuda" and config.compile != "always":
        return
    kernel = attention_kernel(
        config.model,
        config.linear,
        compute_dtype(config.precision.compute),
        device,
        config.batch.sequence_length,
        config.batch.document_mask,
        config.compile == "always",
    )
    if kernel.fused:
        _log.info("attention: %s", kernel.name)
    else:
        _log.warning(
            "attention: no fused kernel takes heads of width %d in %s with position=%s: %s, slower "
            "and with scores of all tokens in memory",
            config.model.head_width,
            config.precision.compute,
            config.model.position,
            kernel.name,
        )


def _say_norms(config: TrainConfig, device: torch.device) -> None:
    """Name what makes the norms of blocks that are compiled for a CPU."""
    if device.type == "cpu" and config.compile == "always" and config.model.norm == "rms":
        served = cpu_norm.serves(compute_dtype(config.precision.compute))
        _log.info("norms: %s", "AVX-512 kernel" if served else "compiled")


def _checkpoint_header(config: TrainConfig) -> dict[str, Any]:
    """What a checkpoint needs to be opened without its run directory."""
    return {
        "format": CHECKPOINT_FORMAT,
        "config": to_plain(config),
        "kinds": kinds_of(config),
    }


def _close(
    trainer: lightning.Trainer,
    module: PretrainingModule,
    data: MixtureModule,
    run: RunDirectory,
) -> float:
    """Validate the last step if that was not due, write the last row, draw the plots."""
    if "val/loss" not in module.row:
        trainer.validate(module, datamodule=data, verbose=False)
    loss = module.row["val/loss"]
    for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by a connector
        if isinstance(callback, MetricsWriter):
            callback.flush(trainer, module)
    read = [asdict(report) for report in data.report()]
    if trainer.is_global_zero:
        run.update_record(data_read=read)
        loss_curves(run, run.loss_plot)
        if run.ternary_file.exists():
            ternary_shares(run, run.ternary_plot)
    return loss
