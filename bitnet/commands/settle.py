"""Makes every ``auto`` definite before anything is built, so that what is recorded is what ran."""

from __future__ import annotations

import logging
from dataclasses import replace

import torch
from lightning.pytorch.utilities import rank_zero_only

from bitnet.config import ConfigError, TrainConfig
from bitnet.config.schema import TrainerSpec
from bitnet.data import Tokenizer
from bitnet.training.compiling import resolve_compile
from bitnet.training.precision import resolve_compute

_log = logging.getLogger(__name__)
_VOCABULARY_MULTIPLE = 64


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
        ConfigError: the tokenizer has more tokens than the model, or there is no compiler.
    """
    device = device_type(config.trainer)
    try:
        compiled, line = resolve_compile(config.compile, device)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if config.compile == "auto" and not compiled:
        _log.warning(line)
    return replace(
        config,
        compile="always" if compiled else "never",
        model=replace(config.model, vocab_size=_vocabulary(config, tokenizer)),
        precision=replace(
            config.precision, compute=resolve_compute(config.precision.compute, device)
        ),
        trainer=replace(config.trainer, accelerator="gpu" if device == "cuda" else "cpu"),
    )


def _vocabulary(config: TrainConfig, tokenizer: Tokenizer) -> int:
    """The model's vocabulary: as configured, else the tokenizer's rounded up."""
    asked = config.model.vocab_size
    if asked is None:
        return -(-tokenizer.vocab_size // _VOCABULARY_MULTIPLE) * _VOCABULARY_MULTIPLE
    if tokenizer.vocab_size > asked:
        raise ConfigError(
            f"model.vocab_size: {asked} is less than the {tokenizer.vocab_size} tokens of "
            f"tokenizer={config.tokenizer}; set model.vocab_size=null to follow the tokenizer"
        )
    return asked


def gpu_names() -> list[str]:
    """Names of the GPUs that torch sees."""
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def is_main_process() -> bool:
    """Whether this process writes the run's files: rank 0, or the only one."""
    return not getattr(rank_zero_only, "rank", 0)
