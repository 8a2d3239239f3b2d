"""Metrics to the run directory, as a Lightning logger: reading a run never needs W&B."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from bitnet.runs import RunDirectory


class CsvLogger(Logger):
    """Appends rows to ``metrics.csv``.

    Args:
        run: the run directory.
        columns: every column a row may have; they are fixed for the life of the run.
    """

    def __init__(self, run: RunDirectory, columns: list[str]) -> None:
        super().__init__()
        self._run = run
        self._file = run.metrics(columns)

    @property
    def name(self) -> str:
        """The name Lightning shows."""
        return "csv"

    @property
    def version(self) -> str:
        """The run's folder name."""
        return self._run.path.name

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append one row; the row names its own ``step``."""
        self._file.append(metrics)

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Nothing: the run directory holds ``config.yaml``."""

    @rank_zero_only
    def truncate_after(self, step: int) -> None:
        """Forget the rows beyond ``step``: a resumed run writes them again."""
        self._file.truncate_after(step)
