"""The columns of a run's tables: one list for who writes them, who plots and who compares.

Wall-clock columns come last and have a name of their own, because they are the only ones in which
two runs of the same config and seed may differ.
"""

from __future__ import annotations

from collections.abc import Sequence

CLOCK_COLUMNS = (
    *("tokens_per_second", "mfu", "peak_share"),
    *("elapsed_seconds", "peak_memory_bytes"),
)
"""Columns that depend on the machine and the hour, not on the config."""

TERNARY_COLUMNS = ("step", "tokens", "layer", "minus", "zero", "plus", "scale", "flip_rate")
"""``ternary.csv``: a row a layer and look; shares of -1, 0, +1, absmean scale, flips since."""

TEXT_COLUMNS = frozenset({"layer"})
"""The columns that hold words; every other cell is a number or empty."""


def metric_columns(sources: Sequence[str], quantization: bool = False) -> list[str]:
    """Columns of ``metrics.csv`` for a mix of ``sources``, wall-clock columns last.

    Args:
        sources: names of the mix.
        quantization: whether quantisation is warmed up, so that its share has a column.

    Losses are in nats a token, learning rate and weight decay as used at that step, memory in
    bytes, time in seconds of all processes of the run so far.
    """
    return [
        "tokens",
        "step",
        *("train/loss", "train/perplexity", "train/bits_per_byte"),
        *(f"train/loss/{source}" for source in sources),
        *(f"train/bits_per_byte/{source}" for source in sources),
        *("val/loss", "val/perplexity", "val/bits_per_byte"),
        *(f"val/loss/{source}" for source in sources),
        *(f"val/bits_per_byte/{source}" for source in sources),
        *("lr", "weight_decay", "grad_norm"),
        *(["quantization"] if quantization else []),
        *("ternary/zero_share", "ternary/flip_rate"),
        *CLOCK_COLUMNS,
    ]
