"""Rows of sharded tensors as ordinary memory: what files hold and what is read into."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from bitnet.training.strategies.travel import TravellingShard


def ordinary(tensor: Tensor) -> Tensor:
    """The same memory without our subclass, which no file should name."""
    if not isinstance(tensor, DTensor):
        return tensor.detach()
    with torch.no_grad():
        local = tensor.to_local()
    held = local.held if isinstance(local, TravellingShard) else local
    return _sharded(held.detach(), tensor)


def _sharded(local: Tensor, like: DTensor) -> DTensor:
    return DTensor.from_local(
        local,
        like.device_mesh,
        like.placements,
        run_check=False,
        shape=like.shape,
        stride=like.stride(),
    )


def rows_of(value: Tensor, like: Tensor) -> Tensor:
    """The rows of a whole tensor that this process holds of ``like``."""
    if not isinstance(like, DTensor):
        return value
    mesh = like.device_mesh
    rows = -(-value.shape[0] // mesh.size())
    first = min(mesh.get_local_rank() * rows, value.shape[0])
    local = value[first : first + rows].to(like.device, copy=True)
    return _sharded(local, like)
