"""One callback a file; none imports another. What they share is laid in the LightningModule.

Order matters: the measuring callbacks come before the one that writes the row, and that one before
the checkpointer, so a checkpoint never stands ahead of the metrics file.
"""

from bitnet.training.callbacks.checkpointer import Checkpointer
from bitnet.training.callbacks.heartbeat import HeartbeatWriter
from bitnet.training.callbacks.metrics_writer import MetricsWriter
from bitnet.training.callbacks.progress import Progress
from bitnet.training.callbacks.pruner import Pruner, Report
from bitnet.training.callbacks.random_state import RandomState
from bitnet.training.callbacks.rank_guard import RankGuard
from bitnet.training.callbacks.sampler import Generate, Sampler
from bitnet.training.callbacks.ternary_monitor import TernaryMonitor
from bitnet.training.callbacks.throughput import Throughput

__all__ = [
    "Checkpointer",
    "Generate",
    "HeartbeatWriter",
    "MetricsWriter",
    "Progress",
    "Pruner",
    "RandomState",
    "RankGuard",
    "Report",
    "Sampler",
    "TernaryMonitor",
    "Throughput",
]
