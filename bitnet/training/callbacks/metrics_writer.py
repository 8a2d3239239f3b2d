"""One row a log step, written when the step is complete: its training and its validation.

Rows are held open until the next step begins, since validation comes after the training of a step.
On resume, rows beyond the checkpoint are cut off, so the file ends as if nothing had happened.
"""

from __future__ import annotations

from lightning import Trainer

from bitnet.training.csv_logger import CsvLogger
from bitnet.training.module import PretrainingModule
from bitnet.training.step_callback import StepCallback


class MetricsWriter(StepCallback):
    """Closes the metrics row of a step and sends it to every logger.

    Args:
        every_tokens: cadence of rows; validation may add rows of its own between them.
    """

    def __init__(self, every_tokens: int) -> None:
        self.every_tokens = every_tokens
        self._trimmed = False

    def run_starts(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Cut off what a previous process wrote beyond the checkpoint."""
        self._trim(trainer, trainer.global_step - 1 if module.row else trainer.global_step)

    def before_step(self, trainer: Trainer, module: PretrainingModule) -> None:
        """The step before is complete: write its row."""
        self.flush(trainer, module)

    def after_step(self, trainer: Trainer, module: PretrainingModule) -> None:
        """On a log step, lay the losses since the last one into the row."""
        if not module.plan.due(trainer.global_step, self.every_tokens):
            return
        losses = module.train_loss.compute()
        module.train_loss.reset()
        # Bits per byte of a source are for validation: a window holds too few of its bytes.
        kept = {key: value for key, value in losses.items() if "bits_per_byte/" not in key}
        module.row |= {f"train/{key}": value for key, value in kept.items()}
        module.row |= module.scheduled()
        if module.gradient_norm is not None:
            module.row["grad_norm"] = float(module.gradient_norm)

    def flush(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Write the open row, if there is one."""
        if not module.row:
            return
        step = trainer.global_step
        self._trim(trainer, step - 1)
        row = {"step": step, "tokens": module.plan.tokens_at(step), **module.row}
        for logger in trainer.loggers:
            local = isinstance(logger, CsvLogger)
            logger.log_metrics(row if local else row | module.details, step)
        module.row, module.details = {}, {}

    def _trim(self, trainer: Trainer, kept_step: int) -> None:
        """Once a process; a run resumed at its very end writes its last row without a step."""
        for logger in trainer.loggers:
            if isinstance(logger, CsvLogger) and not self._trimmed:
                logger.truncate_after(kept_step)
        self._trimmed = True
