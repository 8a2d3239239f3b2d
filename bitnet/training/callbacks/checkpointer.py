"""Checkpoints by tokens and by time, at step boundaries only, and when something goes wrong.

A checkpoint is written before a step begins, when the step before is complete: weights, validation
and metrics row. Resuming from it can therefore not repeat or lose anything. ``last.ckpt`` always
names the newest complete one.
"""

from __future__ import annotations

import logging
from pathlib import Path
from time import monotonic
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from bitnet.training.checkpoint_io import remove_checkpoint
from bitnet.training.errors import CheckpointError, FeedStopped, ToldToStop
from bitnet.training.module import PretrainingModule
from bitnet.training.step_callback import StepCallback

_log = logging.getLogger(__name__)


class Checkpointer(StepCallback, Checkpoint):
    """Writes ``tokens-<n>.ckpt`` and points ``last.ckpt`` at it; sharded models make it a folder.

    Args:
        folder: the run's checkpoint folder.
        every_tokens: cadence in tokens; 0: only by time and at the end.
        every_minutes: cadence in minutes of wall clock; 0: only by tokens and at the end.
        keep: how many of the newest stay; 0: all.
    """

    def __init__(self, folder: Path, every_tokens: int, every_minutes: float, keep: int) -> None:
        self.folder = folder
        self.every_tokens = every_tokens
        self.every_minutes = every_minutes
        self.keep = keep
        self._saved_step = -1
        self._saved_at = monotonic()
        self._stepping = False

    def run_starts(self, trainer: Trainer, module: PretrainingModule) -> None:
        """What was resumed from need not be written again."""
        self._saved_step, self._saved_at = trainer.global_step, monotonic()

    def before_step(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Between two steps: save if a cadence says so."""
        if self._due(trainer, module):
            self._save(trainer, module)

    def on_before_optimizer_step(self, *args: Any) -> None:
        """From here to the end of the step the weights are of no step."""
        self._stepping = True

    def after_step(self, trainer: Trainer, module: PretrainingModule) -> None:
        """The step is whole again."""
        self._stepping = False

    def run_ends(self, trainer: Trainer, module: PretrainingModule) -> None:
        """The end of the budget is always saved."""
        if trainer.global_step != self._saved_step:
            self._save(trainer, module)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Save what is whole: the last complete step. A failed save is not tried again."""
        step = trainer.global_step
        if isinstance(exception, CheckpointError) or step in (0, self._saved_step):
            return
        if trainer.world_size > 1 and not isinstance(exception, FeedStopped | ToldToStop):
            _log.warning("no checkpoint on this exception: other ranks may not take part in one")
        elif self._stepping:
            _log.warning("no checkpoint on this exception: it came inside an optimizer step")
        elif isinstance(pl_module, PretrainingModule):
            self._save(trainer, pl_module)
            if trainer.is_global_zero:
                _log.warning("saved step %d before giving up: %s", step, self.folder / "last.ckpt")

    def _due(self, trainer: Trainer, module: PretrainingModule) -> bool:
        step = trainer.global_step
        if step in (0, self._saved_step):
            return False
        late = 0 < self.every_minutes * 60 <= monotonic() - self._saved_at
        if trainer.world_size > 1:
            late = trainer.strategy.reduce_boolean_decision(late, all=False)
        return late or module.plan.due(step, self.every_tokens)

    def _save(self, trainer: Trainer, module: PretrainingModule) -> None:
        step = trainer.global_step
        path = self.folder / f"tokens-{module.plan.tokens_at(step):015d}.ckpt"
        with module.pause():
            trainer.save_checkpoint(path, weights_only=False)
        self._saved_step, self._saved_at = step, monotonic()
        if trainer.is_global_zero:
            _point(self.folder / "last.ckpt", path)
            self._prune()

    def _prune(self) -> None:
        if self.keep > 0:
            for old in sorted(self.folder.glob("tokens-*.ckpt"))[: -self.keep]:
                remove_checkpoint(old)


def _point(link: Path, target: Path) -> None:
    """Make ``link`` a relative link to ``target``, in one step."""
    fresh = link.with_name(f".{link.name}.part")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.name)
    fresh.replace(link)
