"""Learning rate and weight decay as pure functions of the tokens trained.

Schedules hold no state, so a resumed run cannot disagree with an uninterrupted one, and a plan can
be drawn before it starts. Lengths are fractions of a horizon, which is the token budget unless it
is given, or whole tokens where a recipe publishes them. Both hyper-parameters move, since BitNet
b1.58's two-stage recipe changes the weight decay as well as the learning rate.
"""

from bitnet.training.schedules.base import Schedule
from bitnet.training.schedules.single import Constant, Cosine, Linear, Polynomial
from bitnet.training.schedules.staged import TwoStage, WarmupStableDecay

__all__ = [
    "Constant",
    "Cosine",
    "Linear",
    "Polynomial",
    "Schedule",
    "TwoStage",
    "WarmupStableDecay",
]
