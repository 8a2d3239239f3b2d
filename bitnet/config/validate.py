"""Rules that span fields, all reported at once.

Types and names are OmegaConf's business; this is what only the whole can tell: a batch that does
not divide, a sequence longer than the model's, a warm-up longer than the run.
"""

from __future__ import annotations

from typing import Any

from bitnet.config.errors import ConfigError, nearest
from bitnet.config.scale_out import trainer_problems
from bitnet.config.schema import TrainConfig
from bitnet.nn import PassSpec, combination_problems
from bitnet.training.compiling import COMPILE_MODES, MODES, graph_problems

ALLOCATORS = ("pages", "system")
WANDB_MODES = ("auto", "online", "offline", "disabled")


def validate(config: TrainConfig) -> None:
    """Check a composed training config.

    Raises:
        ConfigError: one line a problem, each with its full path.
    """
    problems = find_problems(config)
    if problems:
        raise ConfigError("\n".join(problems))


def find_problems(config: TrainConfig) -> list[str]:
    """Everything wrong with ``config``, in the order of its sections."""
    found = _sections(config)
    found += [f"linear.{line}" for line in combination_problems(config.model, config.linear)]
    found += _batch(config)
    found += trainer_problems(config)
    if config.trainer.cpu_allocator not in ALLOCATORS:
        found.append(_choice("trainer.cpu_allocator", config.trainer.cpu_allocator, ALLOCATORS))
    found += _against_budget(config)
    found += _cadences(config)
    if config.compile not in MODES:
        found.append(_choice("compile", config.compile, MODES))
    found += _compile_mode(config)
    if config.logger.wandb.mode not in WANDB_MODES:
        found.append(_choice("logger.wandb.mode", config.logger.wandb.mode, WANDB_MODES))
    return found


def _sections(config: TrainConfig) -> list[str]:
    """What each room finds wrong with its own spec."""
    specs: dict[str, Any] = {
        "model": config.model,
        "linear": config.linear,
        "quantization": config.quantization,
        "data": config.data,
        "mix": config.mix,
        "stream": config.stream,
        "validation": config.validation,
        "optimizer": config.optimizer,
        "schedule": config.schedule,
        "precision": config.precision,
        "callbacks.samples.sampling": config.callbacks.samples.sampling,
    }
    return [f"{path}.{line}" for path, spec in specs.items() for line in spec.problems()]


def _batch(config: TrainConfig) -> list[str]:
    batch, found = config.batch, []
    for name in ("size", "micro", "sequence_length"):
        if getattr(batch, name) < 1:
            found.append(f"batch.{name}: {getattr(batch, name)} must be at least 1")
    found += [f"batch.{line}" for line in PassSpec(batch.loss_chunk, batch.recompute).problems()]
    if config.budget.tokens < 1:
        found.append(f"budget.tokens: {config.budget.tokens} must be at least 1")
    for name in ("devices", "nodes"):
        if getattr(config.trainer, name) < 1:
            found.append(f"trainer.{name}: {getattr(config.trainer, name)} must be at least 1")
    if found:
        return found
    world = config.trainer.devices * config.trainer.nodes
    if batch.size % (batch.micro * world):
        found.append(
            f"batch.size: {batch.size} sequences cannot be split into micro-batches of "
            f"batch.micro={batch.micro} on {world} device(s); valid are multiples of "
            f"{batch.micro * world}"
        )
    if batch.sequence_length > config.model.max_sequence_length:
        found.append(
            f"batch.sequence_length: {batch.sequence_length} exceeds "
            f"model.max_sequence_length={config.model.max_sequence_length}"
        )
    return found


def _compile_mode(config: TrainConfig) -> list[str]:
    if config.compile_mode not in COMPILE_MODES:
        return [_choice("compile_mode", config.compile_mode, COMPILE_MODES)]
    if config.compile_mode != "default" and config.compile == "never":
        return [f"compile_mode: '{config.compile_mode}' has no effect with compile=never"]
    world = config.trainer.devices * config.trainer.nodes
    accumulates = config.batch.micro > 0 and config.batch.size > config.batch.micro * world
    lines = graph_problems(
        config.compile_mode, config.trainer.accelerator, config.linear.kind, world, accumulates
    )
    return [f"compile_mode: {line}" for line in lines]


def _against_budget(config: TrainConfig) -> list[str]:
    """What is wrong with lengths in tokens, once they are sound by themselves."""
    budget, found = config.budget.tokens, list[str]()
    if budget < 1:
        return found
    if not config.schedule.problems():
        found += [f"schedule.{line}" for line in config.schedule.budget_problems(budget)]
    if not config.quantization.problems():
        linear = config.linear
        kind = linear.stage.kind if linear.kind == "stage" else linear.kind
        lines = config.quantization.run_problems(budget, quantises=kind != "dense")
        found += [f"quantization.{line}" for line in lines]
    return found


def _cadences(config: TrainConfig) -> list[str]:
    values = {
        "validation.every_tokens": config.validation.every_tokens,
        "checkpoint.every_tokens": config.checkpoint.every_tokens,
        "checkpoint.every_minutes": config.checkpoint.every_minutes,
        "checkpoint.keep": config.checkpoint.keep,
        "callbacks.samples.every_tokens": config.callbacks.samples.every_tokens,
        "callbacks.ternary.every_tokens": config.callbacks.ternary.every_tokens,
    }
    found = [f"{path}: {value} is negative" for path, value in values.items() if value < 0]
    for path in ("logger.every_tokens", "validation.every_tokens"):
        value = values.get(path, config.logger.every_tokens)
        if value == 0:
            found.append(f"{path}: must be above 0")
    return found


def _choice(path: str, value: str, valid: tuple[str, ...]) -> str:
    listing = ", ".join(valid)
    return f"{path}: '{value}' is unknown{nearest(value, list(valid))} (valid: {listing})"
