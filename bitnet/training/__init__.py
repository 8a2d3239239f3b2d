"""Training: where a Transformer meets data, an optimizer and a token budget.

This room knows Lightning; it does not know Hydra. What it is given are plain dataclasses
(:mod:`~bitnet.training.schedules`, :mod:`~bitnet.training.optimizers`, …) that ``config/`` fills.
A step is taken in :mod:`bitnet.training.module`, which is not imported here, so that the specs can
be used without Lightning.
"""

from bitnet.training.budget import StepPlan
from bitnet.training.errors import CheckpointError
from bitnet.training.optimizers import AdamW
from bitnet.training.schedules import Constant, Cosine, Schedule, TwoStage

__all__ = [
    "AdamW",
    "CheckpointError",
    "Constant",
    "Cosine",
    "Schedule",
    "StepPlan",
    "TwoStage",
]
