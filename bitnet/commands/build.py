"""From a checked config to objects: data, model, module and trainer."""

from __future__ import annotations

import logging
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import Strategy

from bitnet.config import TrainConfig
from bitnet.data import Tokenizer, shares_of
from bitnet.data.module import MixtureModule
from bitnet.nn import PassSpec, Transformer
from bitnet.training import StepPlan
from bitnet.training.checkpoint_io import AtomicCheckpointIO
from bitnet.training.module import PretrainingModule
from bitnet.training.precision import compute_dtype


def step_plan(config: TrainConfig) -> StepPlan:
    """The token budget cut into steps."""
    world = config.trainer.devices * config.trainer.nodes
    return StepPlan(
        total_tokens=config.budget.tokens,
        tokens_per_step=config.batch.size * config.batch.sequence_length,
        accumulate=config.batch.size // (config.batch.micro * world),
    )


def mix_of(config: TrainConfig) -> dict[str, float]:
    """Each source's share of the whole run, in the order of the data's ``source`` byte."""
    return shares_of(config.mix, config.budget.tokens)


def open_data(config: TrainConfig, tokenizer: Tokenizer) -> MixtureModule:
    """The mixture, opened: its files found and its weights checked against them."""
    data = MixtureModule(
        corpus=config.data,
        mix=config.mix,
        tokenizer=tokenizer,
        sequence_length=config.batch.sequence_length,
        micro_batch=config.batch.micro,
        seed=config.seed,
        stream=config.stream,
        validation=config.validation,
    )
    data.setup()
    return data


def build_net(config: TrainConfig) -> Transformer:
    """The model, freshly initialised from ``config.seed``."""
    torch.manual_seed(config.seed)
    return Transformer(config.model, config.linear, compute_dtype(config.precision.compute))


def passes_of(config: TrainConfig, tokenizer: Tokenizer) -> PassSpec:
    """How the model's passes are carried out; documents end with the tokenizer's own token."""
    batch = config.batch
    end = tokenizer.eos_id if batch.document_mask else None
    return PassSpec(batch.loss_chunk, batch.recompute, end)


def build_module(config: TrainConfig, net: Transformer, tokenizer: Tokenizer) -> PretrainingModule:
    """What Lightning trains."""
    net.set_passes(passes_of(config, tokenizer))
    if config.compile == "always":
        net.compile_blocks(config.compile_mode)
    return PretrainingModule(
        net,
        config.optimizer,
        config.schedule,
        step_plan(config),
        mix_of(config),
        torch.from_numpy(tokenizer.byte_lengths()),
        config.quantization,
    )


def _strategy(config: TrainConfig) -> str | Strategy:
    """Lightning's strategy, by its name or as ours."""
    spec = config.trainer
    if spec.strategy != "fsdp":
        return spec.strategy
    # Brings FSDP2 with it, which only this strategy needs.
    from bitnet.training.strategies.fully_sharded import FullyShardedStrategy

    return FullyShardedStrategy(spec.sharding, spec.devices * spec.nodes)


def build_trainer(
    config: TrainConfig, folder: Path, loggers: list[Logger], callbacks: list[Callback]
) -> lightning.Trainer:
    """Lightning's trainer, told to keep out of everything this project does itself."""
    # Its advertisements and device lists say nothing that the run's own header does not.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    plan = step_plan(config)
    return lightning.Trainer(
        accelerator=config.trainer.accelerator,
        devices=config.trainer.devices,
        num_nodes=config.trainer.nodes,
        strategy=_strategy(config),
        precision="32-true",  # the model itself computes in bf16 where asked
        max_steps=plan.steps,
        accumulate_grad_batches=plan.accumulate,
        val_check_interval=plan.steps_every(config.validation.every_tokens) * plan.accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=loggers,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        deterministic=config.trainer.deterministic,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        inference_mode=False,  # tensors made in validation must stay usable in training
    )
