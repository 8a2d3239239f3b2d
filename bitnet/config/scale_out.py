"""Rules for runs on several devices: what a strategy can do, and what it cannot."""

from __future__ import annotations

from dataclasses import fields

from bitnet.config.errors import nearest
from bitnet.config.schema import TrainConfig
from bitnet.training.compiling import GRAPH_MODES
from bitnet.training.optimizers import Muon
from bitnet.training.strategies import ShardingSpec

STRATEGIES = ("auto", "ddp", "fsdp")

_NO_TENSOR_PARALLEL = (
    "trainer.strategy: 'fsdp_tp' is refused: cut within a layer, the scale of a weight (mean|W|) "
    "and that of a token (max|x|) span processes, and no engine reduces them between its products; "
    "use trainer=fsdp"
)


def trainer_problems(config: TrainConfig) -> list[str]:
    """What is wrong with ``trainer``, by itself and against the rest, a line a problem."""
    name = config.trainer.strategy
    if name == "fsdp_tp":
        return [_NO_TENSOR_PARALLEL]
    if name not in STRATEGIES and not name.startswith("ddp_"):
        hint = nearest(name, list(STRATEGIES))
        valid = ", ".join(STRATEGIES)
        return [f"trainer.strategy: '{name}' is unknown{hint} (valid: {valid})"]
    return _sharded(config) if name == "fsdp" else _without_effect(config)


def _without_effect(config: TrainConfig) -> list[str]:
    """Settings of sharding where nothing is sharded."""
    asked, default = config.trainer.sharding, ShardingSpec()
    return [
        f"trainer.sharding.{each.name}: has no effect with trainer.strategy="
        f"{config.trainer.strategy}; use trainer=fsdp, or leave it "
        f"{str(getattr(default, each.name)).lower()}"
        for each in fields(ShardingSpec)
        if getattr(asked, each.name) != getattr(default, each.name)
    ]


def _sharded(config: TrainConfig) -> list[str]:
    spec = config.trainer.sharding
    found = [f"trainer.sharding.{line}" for line in spec.problems()]
    if isinstance(config.optimizer, Muon):
        found.append(
            "optimizer: muon orthogonalises whole matrices, and trainer.strategy=fsdp leaves each "
            "process rows of them; use optimizer=adamw, or trainer=ddp"
        )
    if config.compile_mode in GRAPH_MODES:
        found.append(
            f"compile_mode: '{config.compile_mode}' records CUDA graphs, and sharded weights come "
            "to lie elsewhere in each pass; use default or max-autotune-no-cudagraphs"
        )
    reason = _why_not_ternary(config) if spec.gather == "ternary" else None
    if reason is not None:
        found.append(
            f"trainer.sharding.gather: 'ternary' leaves layers no latent weights, and {reason}; "
            "use gather=master"
        )
    return found


def _why_not_ternary(config: TrainConfig) -> str | None:
    linear = config.linear
    kind = linear.stage.kind if linear.kind == "stage" else linear.kind
    if kind == "dense":
        return "dense layers have nothing else"
    if linear.engine == "reference":
        return "linear.engine=reference quantises them itself"
    if config.quantization.is_on:
        return "quantization.warmup computes with them"
    return None
