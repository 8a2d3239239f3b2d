"""Learning rate and weight decay as pure functions of the tokens trained.

Schedules hold no state, so a resumed run cannot disagree with an uninterrupted one, and a plan can
be drawn before it starts. All lengths are fractions of the token budget: the same schedule is right
for a pocket run and for 100B tokens. Both hyper-parameters move, since BitNet b1.58's two-stage
recipe changes the weight decay as well as the learning rate.
"""

from dataclasses import dataclass
from math import cos, pi


@dataclass
class Schedule:
    """What every schedule shares: a peak, a warm-up and a weight decay.

    Attributes:
        peak: highest learning rate.
        warmup: fraction of the budget over which the rate rises linearly from 0 to ``peak``.
        weight_decay: decoupled weight decay (of matrices only; see ``optimizers``).
    """

    peak: float = 1.5e-3
    warmup: float = 0.00375
    weight_decay: float = 0.1

    def at(self, progress: float) -> tuple[float, float]:
        """Learning rate and weight decay for the step that ends at ``progress`` in (0, 1]."""
        if progress < self.warmup:
            return self.peak * progress / self.warmup, self.decay_at(progress)
        return self.rate_at(progress), self.decay_at(progress)

    def rate_at(self, progress: float) -> float:
        """Learning rate after the warm-up."""
        raise TypeError(f"{type(self).__name__} is no schedule by itself; choose one of its kinds")

    def decay_at(self, progress: float) -> float:
        """Weight decay at ``progress``."""
        return self.weight_decay

    def problems(self) -> list[str]:
        """Human-readable faults of the values, empty when they make sense."""
        found = []
        if self.peak <= 0:
            found.append(f"peak: {self.peak} is not a learning rate; it must be above 0")
        if not 0 <= self.warmup < 1:
            found.append(
                f"warmup: {self.warmup} is a fraction of the budget; valid is 0 <= warmup < 1"
            )
        if self.weight_decay < 0:
            found.append(f"weight_decay: {self.weight_decay} is negative")
        return found


@dataclass
class TwoStage(Schedule):
    r"""The schedule of BitNet b1.58: two straight lines to one floor, and no decay in the second.

    With progress :math:`t`, warm-up :math:`w`, floor :math:`f` and the stage's peak :math:`p_s`

    .. math:: lr(t) = f + (p_s - f) (1 - t) / (1 - w)

    where :math:`p_s` is ``peak`` before ``switch`` and ``second_peak`` from there on, so the rate
    *drops* at the switch. Weight decay goes from ``weight_decay`` to ``second_weight_decay`` there.

    Source: "The Era of 1-bit LLMs: Training Tips, Code and FAQ", figures 1c and 1d and table 1
    (700M: 1.5e-3 then 1e-3, floor 3e-5, 375 of 100,000 steps of warm-up).
    """

    second_peak: float = 1.0e-3
    floor: float = 3.0e-5
    switch: float = 0.5
    second_weight_decay: float = 0.0

    def rate_at(self, progress: float) -> float:
        """The line of the stage that ``progress`` lies in."""
        peak = self.peak if progress < self.switch else self.second_peak
        return self.floor + (peak - self.floor) * (1.0 - progress) / (1.0 - self.warmup)

    def decay_at(self, progress: float) -> float:
        """Weight decay of the stage that ``progress`` lies in."""
        return self.weight_decay if progress < self.switch else self.second_weight_decay

    def problems(self) -> list[str]:
        """Also: the switch lies after the warm-up and the floor below both peaks."""
        found = super().problems()
        if not self.warmup < self.switch <= 1:
            found.append(f"switch: {self.switch} must lie after warmup ({self.warmup}), at most 1")
        if not 0 <= self.floor <= min(self.peak, self.second_peak):
            found.append(f"floor: {self.floor} must lie between 0 and both peaks")
        return found


@dataclass
class Cosine(Schedule):
    r"""Linear warm-up, then half a cosine down to ``final`` times the peak.

    .. math:: lr(t) = p (r + (1 - r) (1 + \cos \pi \frac{t - w}{1 - w}) / 2)

    Source: SGDR, arXiv 1608.03983, without restarts; ``final = 0.1`` as LLaMA (arXiv 2302.13971).
    """

    final: float = 0.1

    def rate_at(self, progress: float) -> float:
        """Half a cosine from the end of the warm-up to the end of the budget."""
        phase = min(1.0, (progress - self.warmup) / (1.0 - self.warmup))
        return self.peak * (self.final + (1 - self.final) * 0.5 * (1 + cos(pi * phase)))

    def problems(self) -> list[str]:
        """Also: ``final`` is a fraction of the peak."""
        found = super().problems()
        if not 0 <= self.final <= 1:
            found.append(f"final: {self.final} is a fraction of the peak; valid is 0 to 1")
        return found


@dataclass
class Constant(Schedule):
    """Linear warm-up, then the peak for ever."""

    def rate_at(self, progress: float) -> float:
        """The peak."""
        return self.peak
