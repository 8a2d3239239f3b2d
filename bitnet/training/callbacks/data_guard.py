"""Lets all ranks stop together when the data of one of them cannot be read on.

A rank that simply raised would leave the others waiting for its gradients, and no checkpoint could
be written. Its loader hands on a failure in place of a batch instead; all ranks compare notes
before a micro-batch, on the CPU so that no GPU has to wait.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer

from bitnet.training.errors import FeedStopped


class DataGuard(Callback):
    """Raises :class:`FeedStopped` on every rank at the same micro-batch."""

    def __init__(self) -> None:
        self._group: dist.ProcessGroup | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the group that notes are compared in."""
        if trainer.world_size > 1:
            self._group = dist.new_group(backend="gloo")

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Ask whether any rank has no data."""
        if trainer.world_size == 1:
            return  # the loader raises by itself
        failed = torch.tensor(int("failure" in batch))
        dist.all_reduce(failed, op=dist.ReduceOp.MAX, group=self._group)
        if failed.item():
            raise FeedStopped(self._messages(batch.get("failure")))

    def _messages(self, failure: str | None) -> str:
        """What the ranks without data say, each thing once."""
        said: list[str | None] = [None] * dist.get_world_size()
        dist.all_gather_object(said, failure, group=self._group)
        return "; ".join(dict.fromkeys(line for line in said if line))
