"""``bitnet plan``: what a run will need, from its config alone, before anything starts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from bitnet.commands.plan_report import as_json, print_plan
from bitnet.commands.vocabulary import planned_vocabulary
from bitnet.config import ConfigError, PlanConfig, validate
from bitnet.config.compose import compose_config, to_object
from bitnet.config.errors import nearest
from bitnet.data import LocalCorpus, resolved, shares_of
from bitnet.nn import PassSpec
from bitnet.planning import (
    DEVICES,
    Device,
    OptimizerCost,
    Pace,
    Place,
    Plan,
    Request,
    find_gpu,
    make_plan,
    published_peak,
    this_cpu,
)
from bitnet.quant import EngineUnavailableError
from bitnet.training.compiling import missing_compiler
from bitnet.training.optimizers import AdamW, DecoupledLion, Muon, Optimizer
from bitnet.training.precision import compute_dtype, resolve_compute

STRATEGIES = ("auto", "ddp")


def plan(overrides: list[str], config_dir: str | None = None) -> Plan:
    """Compose, plan and print; with ``output=FILE.json`` write the numbers as well.

    Args:
        overrides: those of ``bitnet train``, and ``device``, ``devices``, ``price``, ``mfu``,
            ``tokens_per_second``, ``output``.
        config_dir: a further folder of group files.

    Raises:
        ConfigError, PlanError: one line a problem.
    """
    config, notes = _settled(_composed(overrides, config_dir))
    try:
        made = make_plan(_request(config))
    except EngineUnavailableError as error:
        raise ConfigError(f"linear.engine: {error}") from error
    print_plan(Console(), made, config.name, notes)
    if config.output is not None:
        path = Path(config.output)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(as_json(made, config.name, notes), indent=1) + "\n", "utf-8")
    return made


def _composed(overrides: list[str], config_dir: str | None) -> PlanConfig:
    """The typed config; where the data lies need not be said yet."""
    config: PlanConfig = to_object(compose_config("plan", overrides, config_dir))
    if isinstance(config.data, LocalCorpus) and not config.data.root:
        config = replace(config, data=replace(config.data, root="said at the launch"))
    return config


def _settled(config: PlanConfig) -> tuple[PlanConfig, list[str]]:
    """Devices, micro-batch, vocabulary and precision made definite, and what there is to say."""
    if config.trainer.strategy not in STRATEGIES:
        raise ConfigError(
            f"trainer.strategy: '{config.trainer.strategy}' cannot be planned"
            f"{nearest(config.trainer.strategy, list(STRATEGIES))} (valid: auto, ddp: every "
            "device holds the whole model)"
        )
    if config.devices is not None and config.devices < 1:
        raise ConfigError(f"devices: {config.devices} must be at least 1")
    notes: list[str] = []
    if config.devices is not None:
        config = replace(config, trainer=replace(config.trainer, devices=config.devices, nodes=1))
        config = _with_fitting_micro(config, notes)
    validate(config)
    model = replace(config.model, vocab_size=planned_vocabulary(config))
    return replace(config, model=model), notes


def _with_fitting_micro(config: PlanConfig, notes: list[str]) -> PlanConfig:
    """The devices of a plan are often not those of the file: find a micro-batch that divides."""
    size, micro, devices = config.batch.size, config.batch.micro, config.trainer.devices
    if size % devices or micro < 1 or size // devices % micro == 0:
        return config  # it divides, or no micro-batch will: validation says so
    share = size // devices
    fitting = max(each for each in range(1, min(micro, share) + 1) if share % each == 0)
    notes.append(
        f"batch.micro: {micro} does not divide the {share} sequences of each of {devices} devices; "
        f"planned with batch.micro={fitting}, which the run then needs as well"
    )
    return replace(config, batch=replace(config.batch, micro=fitting))


def _request(config: PlanConfig) -> Request:
    device, compute = _device(config)
    compiled = config.compile != "never"
    if device.kind == "cpu" and config.compile == "auto":
        compiled = missing_compiler("cpu") is None
    known = config.data.known_tokens()
    mix = resolved(config.mix, known)
    return Request(
        shape=config.model,
        linear=config.linear,
        place=Place(
            device=device.kind,
            dtype=compute_dtype(compute),
            compiled=compiled,
            micro_batch=config.batch.micro,
            sequence_length=config.batch.sequence_length,
            passes=PassSpec(config.batch.loss_chunk, config.batch.recompute),
            page_pool=config.trainer.cpu_allocator == "pages",
        ),
        device=device,
        devices=config.trainer.devices * config.trainer.nodes,
        tokens=config.budget.tokens,
        batch=config.batch.size,
        optimizer=optimizer_cost(config.optimizer),
        pace=Pace(config.mfu, config.tokens_per_second, config.price),
        checkpoints=config.checkpoint.keep or None,
        every_tokens=config.checkpoint.every_tokens,
        mix=shares_of(mix, config.budget.tokens),
        published=known,
    )


def _device(config: PlanConfig) -> tuple[Device, str]:
    """The device by name and the format it computes in."""
    name = config.device
    if name == "auto":
        name = "cpu"
        if torch.cuda.is_available() and config.trainer.accelerator != "cpu":
            found = find_gpu(torch.cuda.get_device_name())
            if found is None:
                raise ConfigError(
                    f"device: '{torch.cuda.get_device_name()}' is not in the table; name one "
                    f"(valid: {', '.join(DEVICES)})"
                )
            name = found.name
    if name not in DEVICES:
        hint = nearest(name, list(DEVICES))
        raise ConfigError(f"device: '{name}' is unknown{hint} (valid: auto, {', '.join(DEVICES)})")
    device = DEVICES[name]
    compute = config.precision.compute
    if device.kind == "cuda":
        if compute == "auto":
            compute = "fp32" if device.bf16 is None else "bf16"
        return device, compute
    compute = resolve_compute(compute, "cpu")
    return this_cpu(_measured_peak(compute), compute), compute


def _measured_peak(compute: str) -> float | None:
    from bitnet.training.peak import device_peak

    return device_peak(torch.device("cpu"), compute_dtype(compute), published_peak).flops


def optimizer_cost(spec: Optimizer) -> OptimizerCost:
    """What an optimizer keeps for each parameter: its moments, in fp32.

    Raises:
        ConfigError: this kind of optimizer has no entry here.
    """
    name = type(spec).__name__
    if isinstance(spec, AdamW):  # and the decoupled one
        return OptimizerCost(name, hidden=8.0, other=8.0)
    if isinstance(spec, DecoupledLion):  # its step makes the updates of all tensors at once
        return OptimizerCost(name, hidden=4.0, other=4.0, extra=4.0)
    if isinstance(spec, Muon):
        return OptimizerCost(name, hidden=4.0, other=8.0)
    raise ConfigError(f"optimizer: what {name} keeps in memory is not known to plans")


def plan_verb(arguments: list[str]) -> None:
    """``bitnet plan [overrides]``; of Hydra's flags only ``--config-dir`` makes sense here."""
    from hydra._internal.utils import get_args_parser

    if {"-m", "--multirun"} & set(arguments):
        raise ConfigError("-m: a plan is of one run; give the values of one job of the sweep")
    flags = get_args_parser().parse_args(arguments)
    asked = [name for name, value in _extra_flags(vars(flags)).items() if value]
    if asked:
        raise ConfigError(f"--{asked[0]}: does not apply to a plan; see bitnet train --cfg job")
    plan(flags.overrides, flags.config_dir)


def _extra_flags(flags: dict[str, Any]) -> dict[str, Any]:
    allowed = ("overrides", "config_dir", "version")
    return {name: value for name, value in flags.items() if name not in allowed}
