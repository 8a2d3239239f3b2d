"""What one of several processes does in the tests of sharding: trains tiny models, and tells.

    python -m tests.training.fsdp_worker RANK WORLD FOLDER

A process group is dear to start, so one of them goes through all cases in turn.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.utils._python_dispatch import TorchDispatchMode

from bitnet.nn import LinearSpec, ModelShape, PassSpec, Transformer
from bitnet.quant import WEIGHT_CODES, held_codes
from bitnet.training.strategies import ShardingSpec
from bitnet.training.strategies.shard import full, shard, whole

STEPS, PASSES, BATCH, LENGTH = 5, 2, 6, 16
Case = dict[str, Any]
CASES: dict[str, Case] = {
    "int8 ternary": {"engine": "int8", "gather": "ternary"},
    "int8 master": {"engine": "int8", "gather": "master"},
    "reference": {"engine": "reference", "gather": "master"},
    "binary ternary": {"engine": "int8", "gather": "ternary", "kind": "binary"},
    "grad8, once a step": {"engine": "int8_grad8", "gather": "ternary", "reduce": "step"},
    "not again": {"engine": "int8", "gather": "ternary", "regather": False},
    "made anew": {"engine": "reference", "gather": "master", "recompute": "blocks"},
    "compiled": {"engine": "int8", "gather": "ternary", "compile": True},
    "dense": {"kind": "dense", "gather": "auto"},
    "stage": {"kind": "stage", "gather": "auto"},
    "bf16 ternary": {"engine": "int8", "gather": "ternary", "dtype": "bfloat16"},
    "bf16 dense": {"kind": "dense", "gather": "auto", "dtype": "bfloat16"},
}
SHAPE = ModelShape(
    name="tiny",
    dim=36,
    layers=2,
    heads=3,
    kv_heads=1,
    head_dim=2,  # two rows of keys: with three processes, one has none
    ffn_dim=50,
    vocab_size=61,
    max_sequence_length=32,
)


def build(case: Case) -> Transformer:
    torch.manual_seed(0)
    linear = LinearSpec(kind=case.get("kind", "bitnet"), engine=case.get("engine", "auto"))
    linear.stage.dim, linear.stage.heads, linear.stage.ffn_dim = 16, 2, 24
    linear.stage.kind = "bitnet"
    net = Transformer(SHAPE, linear, getattr(torch, case.get("dtype", "float32")))
    net.set_passes(PassSpec(recompute=case.get("recompute", "none")))
    return net


def cases_of(world: int) -> dict[str, Case]:
    """All with two processes; with more, those that show how rows are dealt out."""
    few = ("int8 ternary", "int8 master", "dense", "bf16 dense")
    return {name: case for name, case in CASES.items() if world == 2 or name in few}


def batches() -> Tensor:
    """Few words, so that there is something to learn in a few steps."""
    draw = torch.Generator().manual_seed(7)
    return torch.randint(0, 6, (STEPS, PASSES, BATCH, LENGTH + 1), generator=draw)


def train(net: Transformer, case: Case, rank: int = 0, world: int = 1) -> dict[str, list[float]]:
    """Losses and gradient norms of a few steps, over all ranks."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=0.1, fused=True)
    told: dict[str, list[float]] = {"loss": [], "norm": []}
    for step in batches():
        total = torch.zeros(())
        for number, micro in enumerate(step):
            if world > 1 and case.get("reduce") == "step":
                net.set_requires_gradient_sync(number + 1 == PASSES)  # type: ignore[operator]
            own = micro[rank * BATCH // world : (rank + 1) * BATCH // world]
            loss, _ = net.loss(own[:, :-1], own[:, 1:])
            (loss / PASSES).backward()
            total += loss.detach() / PASSES
        norm = full(torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0))
        optimizer.step()
        optimizer.zero_grad()
        if world > 1:
            dist.all_reduce(total)
        told["loss"].append(float(total) / world)
        told["norm"].append(float(norm))
    return told


class Gathered(TorchDispatchMode):
    """Counts the bytes that this process sends to all others."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.c10d._allgather_base_.default:
            self.bytes += args[1].nbytes
        return func(*args, **(kwargs or {}))


def sent(net: Transformer) -> int:
    """Bytes that one pass without gradient gathers from this process."""
    tokens = batches()[0, 0, :2]
    with torch.no_grad(), Gathered() as count:
        net.nll(tokens[:, :-1], tokens[:, 1:])
    return count.bytes


def codes_agree(net: Transformer, case: Case) -> bool:
    """Whether the codes and scales that come together are those of the whole masters."""
    right = True
    layers = net.ternary_layers().values()
    masters = [full(layer.weight.detach()) for layer in layers]
    with whole(net):
        for layer, master in zip(layers, masters, strict=True):
            codes, scale = WEIGHT_CODES[layer.kind](master)
            if case["gather"] == "ternary":
                right &= torch.equal(held_codes(codes), layer.codes)
                right &= torch.allclose(scale, layer.scale, rtol=1e-6)
    return bool(right)


def run(rank: int, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world
    )
    mesh = init_device_mesh("cpu", (world,), mesh_dim_names=("data_parallel",))
    told: dict[str, Any] = {}
    for name, case in cases_of(world).items():
        net = build(case)
        if case.get("compile"):
            net.compile_blocks()
        spec = ShardingSpec(
            case["gather"], case.get("reduce", "micro_batch"), case.get("regather", True)
        )
        shard(net, mesh, spec)
        told[name] = train(net, case, rank, world)
        rows = [weight.to_local().shape[0] for weight in net.parameters()]  # type: ignore[operator]
        told[name] |= {"rows": rows, "codes": codes_agree(net, case), "sent": sent(net)}
    (folder / f"{rank}.json").write_text(json.dumps(told))
    dist.destroy_process_group()


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
