"""Quantisation brought in little by little, for models that begin with full-precision weights.

Quantising trained weights at once loses what they know: the loss starts where random weights do.
So each quantised layer computes with ``x + lambda (q(x) - x)``, for weights and activations, while
lambda goes from 0 to 1; from there on the layers are exactly ternary.

Source: "Fine-tuning LLMs to 1.58bit: extreme quantization made easy" (Hugging Face, 2024); that
16-bit training before 1.58-bit training pays, arXiv 2502.11895.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from math import exp

SHAPES = {"linear": 1.0, "exponential": 4.0, "sigmoid": 100.0}
"""Shape to its default steepness."""


@dataclass
class QuantizationWarmup:
    r"""Lambda as a pure function of the tokens trained. Off unless it is given a length.

    With :math:`x` the fraction of the warm-up that is done and :math:`k` the steepness

    * ``linear``: :math:`\lambda = x`
    * ``exponential``: :math:`\lambda = 1 - (1 - x)^k`, fast at first and level at the end
    * ``sigmoid``: :math:`\lambda = 1 / (1 + e^{-k (x - 1/2)})`, a step of width :math:`1/k`

    and :math:`\lambda = 1` exactly from the end on. The names are the source's. It found ``linear``
    over 1000 of 5000 steps best, and tried ``k`` of 4 to 10 and of 15 to 100.

    Attributes:
        warmup: length as a fraction of the budget; 0 is off.
        warmup_tokens: the same in tokens; it goes before ``warmup``.
        shape: ``linear``, ``exponential`` or ``sigmoid``.
        steepness: ``k`` above; ``None`` is 4 for ``exponential`` and 100 for ``sigmoid``.
    """

    warmup: float = 0.0
    warmup_tokens: int | None = None
    shape: str = "linear"
    steepness: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether there is a warm-up at all."""
        return bool(self.warmup if self.warmup_tokens is None else self.warmup_tokens)

    def share(self, tokens: int, budget: int) -> float:
        """Lambda of one optimizer step, 0 to 1.

        Args:
            tokens: trained when the step ends, so the first step is above 0 and the step that ends
                the warm-up is at 1.
            budget: tokens of the whole run.
        """
        length = self.warmup * budget if self.warmup_tokens is None else self.warmup_tokens
        if tokens >= length:
            return 1.0
        done = tokens / length
        if self.shape == "linear":
            return done
        steepness = SHAPES[self.shape] if self.steepness is None else self.steepness
        if self.shape == "exponential":
            return float(1.0 - (1.0 - done) ** steepness)
        return 1.0 / (1.0 + exp(-steepness * (done - 0.5)))

    def problems(self) -> list[str]:
        """Human-readable faults of the values, empty when they make sense."""
        found = []
        if not 0 <= self.warmup <= 1:
            found.append(f"warmup: {self.warmup} is a fraction of the budget; valid is 0 to 1")
        if self.warmup_tokens is not None and self.warmup_tokens < 0:
            found.append(f"warmup_tokens: {self.warmup_tokens} is negative")
        if self.shape not in SHAPES:
            near = get_close_matches(self.shape, SHAPES, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            found.append(f"shape: '{self.shape}' is unknown{hint} (valid: {', '.join(SHAPES)})")
        if self.steepness is not None and self.shape == "linear":
            found.append(f"steepness: {self.steepness} means nothing to shape=linear; use null")
        elif self.steepness is not None and self.steepness <= 0:
            found.append(f"steepness: {self.steepness} must be above 0")
        return found

    def run_problems(self, budget: int, quantises: bool) -> list[str]:
        """Faults that show only against the rest of a run; for values without other faults.

        Args:
            budget: tokens of the whole run.
            quantises: whether the model has quantised layers.
        """
        if not self.is_on:
            return []
        name = "warmup" if self.warmup_tokens is None else "warmup_tokens"
        if not quantises:
            return [f"{name}: dense layers quantise nothing; leave it 0, or choose linear=bitnet"]
        if self.warmup_tokens is not None and self.warmup_tokens > budget:
            return [
                f"warmup_tokens: {self.warmup_tokens} exceeds budget.tokens={budget}, so the model "
                "would never be fully quantised"
            ]
        return []
