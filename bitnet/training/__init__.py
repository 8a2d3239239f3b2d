"""Training: where a Transformer meets data, an optimizer and a token budget.

This room knows Lightning; it does not know Hydra. What it is given are plain dataclasses
(:mod:`~bitnet.training.schedules`, :mod:`~bitnet.training.optimizers`, …) that ``config/`` fills.
A step is taken in :mod:`bitnet.training.module`.
"""

from bitnet.training.budget import StepPlan
from bitnet.training.module import PretrainingModule
from bitnet.training.optimizers import AdamW
from bitnet.training.schedules import Constant, Cosine, Schedule, TwoStage

__all__ = [
    "AdamW",
    "Constant",
    "Cosine",
    "PretrainingModule",
    "Schedule",
    "StepPlan",
    "TwoStage",
]
