"""What the data room must know of the other ranks: how many there are, and what they hold."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist

from bitnet.data.errors import DataError

Part = TypeVar("Part")


def rank_and_world() -> tuple[int, int]:
    """This process's number among the data-parallel processes, and how many there are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gathered(part: Part) -> list[Part]:
    """`part` of every rank, in the order of ranks; every rank must call it."""
    _, world = rank_and_world()
    parts = [part] * world
    if world > 1:
        dist.all_gather_object(parts, part)
    return parts


def shared_batches(batches: int, world: int) -> int:
    """Batches of each of `world` ranks that `batches` over all of them make.

    Raises:
        DataError: they cannot be shared.
    """
    if batches % world:
        raise DataError(
            f"the saved position is {batches} batches over all ranks, which {world} ranks "
            "cannot share; resume on a number of ranks that divides it"
        )
    return batches // world
