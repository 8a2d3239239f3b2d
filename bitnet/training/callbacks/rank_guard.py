"""Lets all ranks stop together: when one cannot read its data on, or is told to stop.

A rank that simply raised would leave the others waiting for its gradients, and no checkpoint could
be written. So a failure of a rank's data comes in place of a batch, and SIGTERM or Ctrl-C is noted;
all ranks compare notes before a micro-batch, on the CPU so that no GPU has to wait. Lightning's own
handler talks to the other ranks from inside the signal, wherever they may be, and then all hang.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer

from bitnet.training.errors import FeedStopped, ToldToStop


class RankGuard(Callback):
    """Raises :class:`FeedStopped` or :class:`ToldToStop` on every rank at the same micro-batch."""

    def __init__(self) -> None:
        self._group: dist.ProcessGroup | None = None
        self._told = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the group that notes are compared in, and take the signals from Lightning.

        Lightning gives them back at the end of the run.
        """
        if trainer.world_size == 1:
            return
        self._group = dist.new_group(backend="gloo")
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGTERM, signal.SIGINT):
                signal.signal(kind, self._note)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Ask whether any rank has no data, or was told to stop."""
        if trainer.world_size == 1:
            return  # the loader raises by itself, and so do signals
        notes = torch.tensor([int("failure" in batch), int(self._told)])
        dist.all_reduce(notes, op=dist.ReduceOp.MAX, group=self._group)
        failed, told = notes.tolist()
        if failed:
            raise FeedStopped(self._messages(batch.get("failure")))
        if told:
            raise ToldToStop

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._told and number == signal.SIGINT:
            raise KeyboardInterrupt  # who presses twice will not wait
        self._told = True

    def _messages(self, failure: str | None) -> str:
        """What the ranks without data say, each thing once."""
        said: list[str | None] = [None] * dist.get_world_size()
        dist.all_gather_object(said, failure, group=self._group)
        return "; ".join(dict.fromkeys(line for line in said if line))
