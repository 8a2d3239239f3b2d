"""Gives a run up when whoever compares it with others says that it won't win.

It knows nothing of searches: it is handed a function that takes tokens and validation loss and
answers whether to stop. All ranks stop at the same step, on the word of rank 0.
"""

from __future__ import annotations

from collections.abc import Callable

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from bitnet.training.module import PretrainingModule

Report = Callable[[int, float], bool]
"""``(tokens, validation loss) -> whether to stop``."""


class Pruner(Callback):
    """Reports each validation, and ends training cleanly when told to.

    Args:
        report: told the loss; ``None`` on ranks that do not report.
        pruned: told the tokens, once, when training is to end (rank 0).
    """

    def __init__(self, report: Report | None, pruned: Callable[[int], None]) -> None:
        self.report = report
        self.pruned = pruned

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the loss of this step; the last step has nothing left to stop."""
        if trainer.state.fn != TrainerFn.FITTING or not isinstance(pl_module, PretrainingModule):
            return
        step, stop = trainer.global_step, False
        tokens = pl_module.plan.tokens_at(step)
        if self.report is not None:
            stop = self.report(tokens, pl_module.row["val/loss"])
        stop = trainer.strategy.broadcast(stop)
        if stop and step < pl_module.plan.steps:
            trainer.should_stop = True
            if trainer.is_global_zero:
                self.pruned(tokens)
