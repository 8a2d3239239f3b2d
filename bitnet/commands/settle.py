"""Makes every ``auto`` definite before anything is built, so that what is recorded is what ran."""

from __future__ import annotations

import logging
from dataclasses import replace

import torch
from lightning.pytorch.utilities import rank_zero_only

from bitnet.commands.vocabulary import vocabulary
from bitnet.config import ConfigError, TrainConfig
from bitnet.config.schema import TrainerSpec
from bitnet.data import DataError, Tokenizer
from bitnet.training.compiling import GRAPH_MODES, resolve_compile
from bitnet.training.precision import resolve_compute

_log = logging.getLogger(__name__)


def device_type(trainer: TrainerSpec) -> str:
    """``cuda`` or ``cpu``: where this trainer will run.

    Raises:
        ConfigError: the accelerator is unknown, or not there.
    """
    wanted = trainer.accelerator
    if wanted not in ("auto", "cpu", "gpu", "cuda"):
        raise ConfigError(f"trainer.accelerator: '{wanted}' is unknown (valid: auto, cpu, gpu)")
    if wanted in ("gpu", "cuda") and not torch.cuda.is_available():
        raise ConfigError(f"trainer.accelerator: '{wanted}' was asked for, but torch sees no GPU")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def settle(config: TrainConfig, tokenizer: Tokenizer) -> TrainConfig:
    """``config`` with precision, compilation, device and vocabulary made definite.

    Raises:
        ConfigError: the tokenizer has more tokens than the model, or cannot read a prompt, or there
            is no compiler.
    """
    device = device_type(config.trainer)
    if config.callbacks.samples.every_tokens:
        _refuse_prompts(config.callbacks.samples.prompts, tokenizer)
    try:
        compiled, line = resolve_compile(config.compile, device)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if config.compile == "auto" and not compiled:
        _log.warning(line)
    if device == "cpu" and config.compile_mode in GRAPH_MODES:
        raise ConfigError(
            f"compile_mode: '{config.compile_mode}' records CUDA graphs, and this run is on a CPU; "
            "use default or max-autotune-no-cudagraphs"
        )
    return replace(
        config,
        compile="always" if compiled else "never",
        compile_mode=config.compile_mode if compiled else "default",
        model=replace(config.model, vocab_size=vocabulary(config, tokenizer)),
        precision=replace(
            config.precision, compute=resolve_compute(config.precision.compute, device)
        ),
        trainer=replace(config.trainer, accelerator="gpu" if device == "cuda" else "cpu"),
    )


def _refuse_prompts(prompts: list[str], tokenizer: Tokenizer) -> None:
    """Find a prompt that a strict tokenizer cannot read now, and not at the first sample."""
    for prompt in prompts:
        try:
            tokenizer.encode(prompt)
        except DataError as error:
            raise ConfigError(f"callbacks.samples.prompts: {error}") from error


def gpu_names() -> list[str]:
    """Names of the GPUs that torch sees."""
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def is_main_process() -> bool:
    """Whether this process writes the run's files: rank 0, or the only one."""
    return not getattr(rank_zero_only, "rank", 0)
