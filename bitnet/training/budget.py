"""Time is counted in tokens; optimizer steps are derived here and nowhere else.

A user says ``budget.tokens``, ``validation.every_tokens`` and ``checkpoint.every_tokens``;
Lightning wants steps and batches. This module is the one place where the first becomes the second,
so every cadence agrees on what "step" means, whatever the batch size or the number of devices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class StepPlan:
    """How a token budget is cut into optimizer steps.

    Attributes:
        total_tokens: the budget the user asked for.
        tokens_per_step: tokens of one optimizer step over all devices (``batch.size * T``).
        accumulate: micro-batches a device runs for one optimizer step.
    """

    total_tokens: int
    tokens_per_step: int
    accumulate: int

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run: the budget, rounded up to whole steps."""
        return math.ceil(self.total_tokens / self.tokens_per_step)

    def tokens_at(self, step: int) -> int:
        """Tokens trained on after ``step`` optimizer steps."""
        return step * self.tokens_per_step

    def steps_every(self, tokens: int) -> int:
        """The cadence of ``tokens`` in steps: the nearest whole number, at least 1."""
        return max(1, round(tokens / self.tokens_per_step))

    def due(self, step: int, every_tokens: int) -> bool:
        """Whether a cadence of ``every_tokens`` falls on ``step``; it always falls on the last.

        ``every_tokens = 0`` switches a cadence off, the last step included.
        """
        if every_tokens <= 0 or step <= 0:
            return False
        return step % self.steps_every(every_tokens) == 0 or step == self.steps
