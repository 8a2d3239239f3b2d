"""The run directory: everything one training run leaves behind, and how to read it back.

A run must explain itself years later without W&B, without the machine it ran on and without the
code that wrote it. So all of it is text in one folder (YAML, JSON, CSV, Markdown) beside the
checkpoints, each file written whole or appended line by line. This room knows nothing of models
or training; it is imported by what writes runs and by what reports on them.

Plots (:mod:`~bitnet.runs.plots`), status (:mod:`~bitnet.runs.status`) and sweep tables
(:mod:`~bitnet.runs.sweep`) are imported by name, so that writing a run loads no matplotlib.
"""

from bitnet.runs.columns import CLOCK_COLUMNS, TERNARY_COLUMNS, metric_columns
from bitnet.runs.directory import RunDirectory, find_latest, find_runs
from bitnet.runs.errors import RunError
from bitnet.runs.heartbeat import Beat, Heartbeat
from bitnet.runs.metrics import MetricsFile
from bitnet.runs.samples import SamplesFile

__all__ = [
    "CLOCK_COLUMNS",
    "TERNARY_COLUMNS",
    "Beat",
    "Heartbeat",
    "MetricsFile",
    "RunDirectory",
    "RunError",
    "SamplesFile",
    "find_latest",
    "find_runs",
    "metric_columns",
]
