"""One line a metrics row on the console, as a Lightning logger beside CSV and W&B."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console

from bitnet.training.display import short, speed


class ConsoleLogger(Logger):
    """Prints where the run stands.

    Args:
        console: shared with the progress bar, so that lines appear above it.
        total_tokens: the budget, for the time left.
    """

    def __init__(self, console: Console, total_tokens: int) -> None:
        super().__init__()
        self.console = console
        self.total_tokens = total_tokens

    @property
    def name(self) -> str:
        """The name Lightning shows."""
        return "console"

    @property
    def version(self) -> str:
        """There is one console."""
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Print the row; a row without losses (monitors only) is not worth a line."""
        losses = [key for key in ("train/loss", "val/loss") if key in metrics]
        if losses:
            self.console.print(self._line(metrics), highlight=False, soft_wrap=True)

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Nothing: the command prints its own summary before training."""

    def _line(self, row: dict[str, float]) -> str:
        parts = [f"{short(row['tokens']):>6} tokens"]
        if "train/loss" in row:
            parts.append(f"loss {row['train/loss']:.4f}")
        if "val/loss" in row:
            parts.append(f"val {row['val/loss']:.4f}")
        if "val/bits_per_byte" in row:
            parts.append(f"{row['val/bits_per_byte']:.3f} bits/byte")
        if "lr" in row:
            parts.append(f"lr {row['lr']:.2e}")
        if "ternary/flip_rate" in row:
            parts.append(f"flips {row['ternary/flip_rate']:.2%}")
        return "  ".join(parts + speed(row, self.total_tokens))
