"""What every schedule shares: a peak, a warm-up, a horizon and a weight decay, all in tokens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Schedule:
    """Learning rate and weight decay as a pure function of the tokens trained.

    Attributes:
        peak: highest learning rate.
        warmup: fraction of the horizon over which the rate rises linearly from 0 to ``peak``.
        warmup_tokens: the same in tokens; it goes before ``warmup``.
        horizon_tokens: length that the schedule is drawn over; ``None`` is the budget. Beyond it
            the last values hold. A run may also end before it: RedPajama-Pythia-7B decays over
            1T tokens and was published at 440B.
        weight_decay: decoupled weight decay (of matrices only; see ``optimizers``).
    """

    peak: float = 1.5e-3
    warmup: float = 0.00375
    warmup_tokens: int | None = None
    horizon_tokens: int | None = None
    weight_decay: float = 0.1

    def at(self, tokens: int, budget: int) -> tuple[float, float]:
        """Learning rate and weight decay of one optimizer step.

        Args:
            tokens: trained when the step ends, so above 0.
            budget: tokens of the whole run.
        """
        progress = min(1.0, tokens / self.horizon(budget))
        warmup = self.warmup_share(budget)
        if progress < warmup:
            return self.peak * progress / warmup, self.weight_decay_at(progress)
        return self.rate_at(progress, warmup), self.weight_decay_at(progress)

    def horizon(self, budget: int) -> int:
        """Tokens that the schedule is drawn over."""
        return budget if self.horizon_tokens is None else self.horizon_tokens

    def warmup_share(self, budget: int) -> float:
        """The warm-up as a fraction of the horizon, however it was given."""
        if self.warmup_tokens is None:
            return self.warmup
        return self.warmup_tokens / self.horizon(budget)

    def rate_at(self, progress: float, warmup: float) -> float:
        """Learning rate after the warm-up; both arguments are fractions of the horizon."""
        raise TypeError(f"{type(self).__name__} is no schedule by itself; choose one of its kinds")

    def weight_decay_at(self, progress: float) -> float:
        """Weight decay at a fraction of the horizon."""
        return self.weight_decay

    def problems(self) -> list[str]:
        """Human-readable faults of the values, empty when they make sense."""
        found = []
        if self.peak <= 0:
            found.append(f"peak: {self.peak} is not a learning rate; it must be above 0")
        if not 0 <= self.warmup < 1:
            found.append(
                f"warmup: {self.warmup} is a fraction of the horizon; valid is 0 <= warmup < 1"
            )
        if self.warmup_tokens is not None and self.warmup_tokens < 0:
            found.append(f"warmup_tokens: {self.warmup_tokens} is negative")
        if self.horizon_tokens is not None and self.horizon_tokens < 1:
            found.append(f"horizon_tokens: {self.horizon_tokens} must be at least 1")
        if self.weight_decay < 0:
            found.append(f"weight_decay: {self.weight_decay} is negative")
        return found

    def budget_problems(self, budget: int) -> list[str]:
        """Faults that show only against a budget in tokens; for values without other faults."""
        horizon = self.horizon(budget)
        if self.warmup_tokens is None or self.warmup_tokens < horizon:
            return []
        source = "budget.tokens" if self.horizon_tokens is None else "schedule.horizon_tokens"
        return [f"warmup_tokens: {self.warmup_tokens} must be less than {source}={horizon}"]


def fraction_problems(name: str, value: float, of: str) -> list[str]:
    """A line if ``value`` is no fraction."""
    if 0 <= value <= 1:
        return []
    return [f"{name}: {value} is a fraction of the {of}; valid is 0 to 1"]
