"""Callbacks that think in optimizer steps, whatever the accumulation.

Lightning's hooks speak of micro-batches; nearly everything a run records speaks of steps. This base
translates once, so a callback is only what it does.
"""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer

from bitnet.training.module import PretrainingModule


class StepCallback(Callback):
    """Override any of the four hooks below."""

    def run_starts(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Training begins or goes on; ``trainer.global_step`` steps are done."""

    def before_step(self, trainer: Trainer, module: PretrainingModule) -> None:
        """The step before is complete, its validation included; the next has not begun."""

    def after_step(self, trainer: Trainer, module: PretrainingModule) -> None:
        """The optimizer has stepped; validation of this step, if due, is still to come."""

    def run_ends(self, trainer: Trainer, module: PretrainingModule) -> None:
        """The budget is spent."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook."""
        self.run_starts(trainer, _ours(pl_module))

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Lightning's hook, a micro-batch."""
        module = _ours(pl_module)
        if batch_idx % module.plan.accumulate == 0:
            self.before_step(trainer, module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Lightning's hook, a micro-batch."""
        module = _ours(pl_module)
        if module.step_ended(batch_idx):
            self.after_step(trainer, module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook."""
        self.run_ends(trainer, _ours(pl_module))


def _ours(module: LightningModule) -> PretrainingModule:
    assert isinstance(module, PretrainingModule), "these callbacks belong to PretrainingModule"
    return module
