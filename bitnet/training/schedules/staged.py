"""Schedules of two pieces after the warm-up: BitNet's two stages, and warmup-stable-decay."""

from __future__ import annotations

from dataclasses import dataclass

from bitnet.training.schedules.base import Schedule, fraction_problems
from bitnet.training.schedules.forms import FORMS, form_problems


@dataclass
class TwoStage(Schedule):
    r"""The schedule of BitNet b1.58: two lines to one floor, and no weight decay in the second.

    With progress :math:`t`, warm-up :math:`w`, floor :math:`f` and the stage's peak :math:`p_s`

    .. math:: lr(t) = f + (p_s - f)\, s\!\left(\frac{t - w}{1 - w}\right), \quad s(x) = 1 - x

    where :math:`p_s` is ``peak`` before ``switch`` and ``second_peak`` from there on, so the rate
    *drops* at the switch. Weight decay goes from ``weight_decay`` to ``second_weight_decay`` there.

    Source: "The Era of 1-bit LLMs: Training Tips, Code and FAQ", figures 1c and 1d and table 1
    (700M: 1.5e-3 then 1e-3, floor 3e-5, 375 of 100,000 steps of warm-up). The report on 2B4T
    (arXiv 2504.12285) describes a cosine in each stage and publishes no rates; ``form=cosine``
    puts half a cosine in the place of the line.

    Attributes:
        second_peak: of the second stage; ``None`` is two thirds of ``peak``, as at every
            published size.
        floor: rate at the end; ``None`` is 2 % of ``peak``, as in the figure for 700M.
        switch: fraction of the horizon at which the second stage begins.
        second_weight_decay: weight decay of the second stage.
        form: ``linear`` or ``cosine``.
    """

    second_peak: float | None = None
    floor: float | None = None
    switch: float = 0.5
    second_weight_decay: float = 0.0
    form: str = "linear"

    @property
    def peaks(self) -> tuple[float, float]:
        """Peaks of the two stages."""
        second = 2 * self.peak / 3 if self.second_peak is None else self.second_peak
        return self.peak, second

    @property
    def end(self) -> float:
        """The floor, filled in."""
        return 0.02 * self.peak if self.floor is None else self.floor

    def rate_at(self, progress: float, warmup: float) -> float:
        """The line of the stage that ``progress`` lies in."""
        height = self.peaks[progress >= self.switch] - self.end
        if self.form == "linear":
            return self.end + height * (1.0 - progress) / (1.0 - warmup)
        return self.end + height * FORMS[self.form]((progress - warmup) / (1.0 - warmup))

    def weight_decay_at(self, progress: float) -> float:
        """Weight decay of the stage that ``progress`` lies in."""
        return self.weight_decay if progress < self.switch else self.second_weight_decay

    def problems(self) -> list[str]:
        """Also: the floor lies below both peaks, and the rest is in range."""
        found = super().problems() + form_problems(self.form, ("linear", "cosine"))
        if not 0 <= self.end <= min(self.peaks):
            found.append(f"floor: {self.end:g} must lie between 0 and both peaks")
        if self.second_weight_decay < 0:
            found.append(f"second_weight_decay: {self.second_weight_decay} is negative")
        return found + fraction_problems("switch", self.switch, "horizon")

    def budget_problems(self, budget: int) -> list[str]:
        """Also: the switch lies after the warm-up."""
        found, warmup = super().budget_problems(budget), self.warmup_share(budget)
        if not found and self.switch <= warmup:
            found.append(f"switch: {self.switch} must lie after the warm-up, ending at {warmup:g}")
        return found


@dataclass
class WarmupStableDecay(Schedule):
    r"""Warm-up, the peak for most of the run, then down in the last ``decay`` of it.

    With :math:`x = (t - (1 - d)) / d` over the last fraction :math:`d` of the horizon

    .. math:: lr(t) = p\,(r + (1 - r)\, s(x))

    Source: MiniCPM (arXiv 2404.06395); the "1 - sqrt" form, and that it does best, is from arXiv
    2405.18392.

    Attributes:
        decay: fraction of the horizon that the descent takes.
        final: the last rate as a fraction of the peak.
        form: ``linear``, ``cosine`` or ``sqrt`` (1 - sqrt).
    """

    decay: float = 0.2
    final: float = 0.0
    form: str = "sqrt"

    def rate_at(self, progress: float, warmup: float) -> float:
        """The peak, and at the end the form."""
        phase = 0.0 if self.decay == 0 else (progress - (1.0 - self.decay)) / self.decay
        left = FORMS[self.form](min(1.0, max(0.0, phase)))
        return self.peak * (self.final + (1 - self.final) * left)

    def problems(self) -> list[str]:
        """Also: fractions are fractions and the form is known."""
        found = super().problems() + form_problems(self.form, tuple(FORMS))
        found += fraction_problems("decay", self.decay, "horizon")
        return found + fraction_problems("final", self.final, "peak")

    def budget_problems(self, budget: int) -> list[str]:
        """Also: warm-up and descent do not overlap."""
        found, warmup = super().budget_problems(budget), self.warmup_share(budget)
        if not found and warmup + self.decay > 1:
            found.append(f"decay: {self.decay} begins before the warm-up ends at {warmup:g}")
        return found
