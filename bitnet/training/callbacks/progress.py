"""The bar at the bottom of a terminal: tokens done, speed, MFU and time left.

In a file or a CI log there is no bar; the lines of the console logger are enough.
"""

from __future__ import annotations

from typing import Any

from lightning import Trainer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from bitnet.training.display import short, speed
from bitnet.training.module import PretrainingModule
from bitnet.training.step_callback import StepCallback


class Progress(StepCallback):
    """A rich bar over the token budget (rank 0, terminals only)."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Bar | None = None
        self._tail = ""

    def run_starts(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Open the bar where the run stands."""
        if not trainer.is_global_zero or not self.console.is_terminal:
            return
        left, right = TextColumn("{task.description}"), TextColumn("{task.fields[tail]}")
        bar = BarColumn(bar_width=None)
        self._bar = Bar(left, bar, TimeElapsedColumn(), right, console=self.console, transient=True)
        self._bar.add_task("", total=module.plan.steps, tail="")
        self._bar.start()

    def after_step(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Move the bar; renew its tail on log steps."""
        if self._bar is None:
            return
        plan, step = module.plan, trainer.global_step
        tokens = plan.tokens_at(step)
        self._tail = "  ".join(speed(module.row | {"tokens": tokens}, plan.total_tokens)) or (
            self._tail
        )
        description = f"{short(tokens)}/{short(plan.total_tokens)} tokens"
        task = self._bar.task_ids[0]
        self._bar.update(task, completed=step, description=description, tail=self._tail)

    def run_ends(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, *args: Any) -> None:
        """Leave the terminal clean."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
