"""How a rate falls: functions of a phase in [0, 1], from 1 down to 0."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from math import cos, pi, sqrt

FORMS: dict[str, Callable[[float], float]] = {
    "linear": lambda phase: 1.0 - phase,
    "cosine": lambda phase: 0.5 * (1.0 + cos(pi * phase)),
    "sqrt": lambda phase: 1.0 - sqrt(phase),
}
"""Name to form; ``sqrt`` is "1 - sqrt" of arXiv 2405.18392."""


def form_problems(form: str, valid: tuple[str, ...]) -> list[str]:
    """A line if ``form`` is none of ``valid``."""
    if form in valid:
        return []
    near = get_close_matches(form, valid, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return [f"form: '{form}' is unknown{hint} (valid: {', '.join(valid)})"]
