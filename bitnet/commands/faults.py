"""The exceptions whose message is meant for the user: shown as lines, without a stack trace."""

from __future__ import annotations

from bitnet.config import ConfigError
from bitnet.data import DataError
from bitnet.planning import PlanError
from bitnet.runs import RunError
from bitnet.training.errors import CheckpointError, FeedStopped, ShardingError


class SweepError(RuntimeError):
    """Jobs of a sweep failed; the message says which and why."""


USER_FAULTS = (
    ConfigError,
    DataError,
    FeedStopped,
    PlanError,
    RunError,
    CheckpointError,
    ShardingError,
    SweepError,
)
