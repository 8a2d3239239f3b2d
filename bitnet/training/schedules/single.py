"""Schedules of one piece after the warm-up: constant, cosine, linear, polynomial."""

from __future__ import annotations

from dataclasses import dataclass

from bitnet.training.schedules.base import Schedule, fraction_problems
from bitnet.training.schedules.forms import FORMS


@dataclass
class Constant(Schedule):
    """Linear warm-up, then the peak for ever."""

    def rate_at(self, progress: float, warmup: float) -> float:
        """The peak."""
        return self.peak


@dataclass
class Decay(Schedule):
    r"""What the falling schedules share: a phase from 0 to 1, and where they end.

    With progress :math:`t`, warm-up :math:`w`, peak :math:`p` and end :math:`r`

    .. math:: lr(t) = p \left(r + (1 - r)\, s\!\left(\frac{t - w}{1 - w}\right)\right)

    where the form :math:`s` falls from 1 to 0.

    Attributes:
        final: the last rate as a fraction of the peak.
    """

    final: float = 0.1

    def rate_at(self, progress: float, warmup: float) -> float:
        """The form, from the end of the warm-up to the end of the horizon."""
        phase = min(1.0, (progress - warmup) / (1.0 - warmup))
        return self.peak * (self.final + (1 - self.final) * self.form_at(phase))

    def form_at(self, phase: float) -> float:
        """What is left of the way down, 1 to 0."""
        raise TypeError(f"{type(self).__name__} is no schedule by itself; choose one of its kinds")

    def problems(self) -> list[str]:
        """Also: ``final`` is a fraction of the peak."""
        return super().problems() + fraction_problems("final", self.final, "peak")


@dataclass
class Cosine(Decay):
    r"""Half a cosine: :math:`s(x) = (1 + \cos \pi x) / 2`.

    Source: SGDR, arXiv 1608.03983, without restarts; ``final = 0.1`` as LLaMA (arXiv 2302.13971)
    and Pythia (arXiv 2304.01373).
    """

    def form_at(self, phase: float) -> float:
        """Half a cosine."""
        return FORMS["cosine"](phase)


@dataclass
class Linear(Decay):
    """A straight line: ``s(x) = 1 - x``.

    Source: Cerebras-GPT up to 590M trains with it (arXiv 2304.03208); for decay to zero see
    arXiv 2502.15938.
    """

    def form_at(self, phase: float) -> float:
        """A straight line."""
        return FORMS["linear"](phase)


@dataclass
class Polynomial(Decay):
    """A power of a straight line: ``s(x) = (1 - x) ** power``.

    Source: the first BitNet (arXiv 2310.11453, table 6: "polynomial decay"), in the form that
    fairseq's ``polynomial_decay`` gives it; its powers are 1 and an end of 0 unless told.

    Attributes:
        power: 1 is a line; above 1 the rate falls faster at first.
    """

    final: float = 0.0
    power: float = 1.0

    def form_at(self, phase: float) -> float:
        """A power of a straight line."""
        return float(FORMS["linear"](phase) ** self.power)

    def problems(self) -> list[str]:
        """Also: the power is positive."""
        found = super().problems()
        if self.power <= 0:
            found.append(f"power: {self.power} must be above 0")
        return found
