"""Shares a model's parameters out over processes: FSDP2, a block at a time.

Every process keeps rows of every parameter, as fp32 masters, with their gradients and the
optimizer's state for them. A block is put together for its forward and again for its backward.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from bitnet.nn import Transformer
from bitnet.nn.bit_linear import BitLinear
from bitnet.nn.linear import DenseLinear
from bitnet.nn.row_codes import reads_masters
from bitnet.training.errors import ShardingError
from bitnet.training.strategies.codes import CodeTraveller, ShardedCodes
from bitnet.training.strategies.spec import ShardingSpec
from bitnet.training.strategies.travel import CastTraveller, Traveller, TravellingShard

_log = logging.getLogger(__name__)
_PASSES = ("nll", "loss")
"""Methods of the model that begin a pass, besides ``forward``."""


def shard(
    net: Transformer, mesh: DeviceMesh, spec: ShardingSpec, warms_up: bool = False
) -> ShardedCodes | None:
    """Share ``net`` out over ``mesh``, in place. What it computes stays the same.

    Args:
        net: the model, whole and the same on every process; compiled already or not at all.
        mesh: of one dimension: the processes.
        spec: what travels.
        warms_up: whether quantisation is brought in by degrees, which needs the masters.

    Returns:
        The codes, if it is they that travel; whoever writes to the masters other than through an
        optimizer tells them.

    Raises:
        ShardingError: codes were asked for, and a layer's engine cannot do with them.
    """
    layers = list(net.ternary_layers().values())
    gather = settled_gather(spec.gather, layers, torch.device(mesh.device_type), warms_up)
    codes = ShardedCodes(layers, mesh) if gather == "ternary" else None
    for layer in layers:
        layer.gather_as("weight" if codes is None else "codes")
    for module in net.modules():
        _prepare(module, net, codes)
    for block in net.blocks:
        fully_shard(block, mesh=mesh, reshard_after_forward=spec.regather)
    fully_shard(net, mesh=mesh)
    for name in _PASSES:
        register_fsdp_forward_method(net, name)
    if codes is not None:
        codes.adopt()
        for block in net.blocks:
            _forget_values(block)
    return codes


def settled_gather(
    asked: str, layers: list[BitLinear], device: torch.device, warms_up: bool
) -> str:
    """``ternary`` or ``master``: how the weights of ``layers`` can travel.

    Raises:
        ShardingError: ``ternary`` was asked for and cannot be had.
    """
    reason = _why_not_ternary(layers, device, warms_up)
    if asked == "ternary" and reason is not None:
        raise ShardingError(
            f"trainer.sharding.gather: 'ternary' cannot be had: {reason}; use gather=master"
        )
    if asked == "auto" and reason is not None and layers:
        _log.warning("weights are gathered as fp32 masters, 32 bits each: %s", reason)
    return "master" if asked == "master" or reason is not None else "ternary"


def _why_not_ternary(layers: list[BitLinear], device: torch.device, warms_up: bool) -> str | None:
    if not layers:
        return "no layer is quantised (linear=dense)"
    if warms_up:
        return "while quantisation is brought in by degrees, layers compute with their masters"
    if any(reads_masters(layer, device) for layer in layers):
        return "the reference engine (linear.engine) quantises the masters itself"
    return None


def _prepare(module: nn.Module, net: Transformer, codes: ShardedCodes | None) -> None:
    """Have a module's matrix travel in another form than its own, where there is one."""
    weight = getattr(module, "weight", None)
    if not isinstance(weight, nn.Parameter) or weight.ndim != 2:
        return
    traveller: Traveller | None = None
    if isinstance(module, BitLinear):
        if codes is not None:
            traveller = CodeTraveller(module, codes, codes.layers.index(module))
    elif net.compute_dtype != weight.dtype and _is_cast(module, net):
        traveller = CastTraveller(weight.shape[0], net.compute_dtype)
    if traveller is not None:
        travelling = TravellingShard(weight.detach(), traveller, weight.shape[0])
        module.weight = nn.Parameter(travelling, requires_grad=weight.requires_grad)


def _is_cast(module: nn.Module, net: Transformer) -> bool:
    """Whether the module casts its weight to the compute dtype before anything else."""
    return isinstance(module, DenseLinear) or module in (net.embedding, net.positions, net.head)


def _forget_values(block: nn.Module) -> None:
    """Free what a block's quantised weights hold when put together: nobody reads it."""
    assert isinstance(block, FSDPModule)
    with torch.no_grad():
        block.unshard()
        for module in block.modules():
            if isinstance(module, BitLinear):
                module.weight.untyped_storage().resize_(0)
        block.reshard()


@contextmanager
def whole(net: nn.Module) -> Iterator[None]:
    """Put a sharded model together for a while, on every process; a collective.

    A model that is not sharded is whole anyway.
    """
    parts = [module for module in net.modules() if isinstance(module, FSDPModule)]
    with torch.no_grad():
        for part in parts:
            part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()


def full(tensor: Tensor) -> Tensor:
    """A sharded tensor put together (a collective); any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
