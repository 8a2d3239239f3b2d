"""Runs as training leaves them, made of arithmetic."""

from __future__ import annotations

from math import exp
from pathlib import Path
from typing import Any

from bitnet.runs import RunDirectory, metric_columns

SOURCES = ("c4", "github")
TOKENS_PER_STEP = 1000


def make_run(
    path: Path,
    config: str = "seed: 1\n",
    steps: int = 40,
    loss: float = 3.0,
    validated: bool = True,
    **record: Any,
) -> RunDirectory:
    """A run of `steps` steps whose validation loss ends near `loss`."""
    run = RunDirectory(path)
    run.create(config, {"state": "finished", "tokens_total": 40 * TOKENS_PER_STEP, **record})
    file = run.metrics(metric_columns(SOURCES))
    for step in range(1, steps + 1):
        now = loss + 5 * exp(-step / 6)
        row = {"step": step, "tokens": step * TOKENS_PER_STEP, "train/loss": now + 0.01}
        row |= {"train/loss/c4": now + 0.3, "tokens_per_second": 500.0 if step > 1 else 5.0}
        if validated and step % 10 == 0:
            row |= {"val/loss": now, "val/bits_per_byte": now / 3, "val/loss/c4": now + 0.2}
            row |= {"val/loss/github": now - 1}
        file.append(row)
    return run
