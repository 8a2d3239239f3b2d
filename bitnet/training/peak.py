"""The arithmetic peak that MFU is measured against: from a table, or measured, never guessed.

For a GPU the vendor's dense figure is used; whoever builds the run brings the table of them. A CPU
has no such published figure, so its own best matrix product is timed once at the start, and the
run's record says that it was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch

Published = Callable[[str, str], float | None]
"""The name by which torch knows a GPU, and ``bf16`` or ``fp32``, to FLOP/s as its maker says."""


@dataclass(frozen=True)
class Peak:
    """``flops`` a second of one device (``None``: unknown) and where the number comes from."""

    flops: float | None
    source: str


def device_peak(device: torch.device, dtype: torch.dtype, published: Published) -> Peak:
    """The peak of ``device`` for products in ``dtype``.

    Args:
        device: of this process.
        dtype: of the products.
        published: the table of data sheets.
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        compute = "bf16" if dtype == torch.bfloat16 else "fp32"
        flops = published(name, compute)
        if flops is None:
            return Peak(None, f"no peak is known for {name} in {dtype}")
        return Peak(flops, f"data sheet of {name}, dense {compute}")
    if device.type == "cpu":
        return Peak(_measure(dtype), f"measured {dtype} matrix product of this CPU")
    return Peak(None, f"no peak is known for {device.type}")


def _measure(dtype: torch.dtype, size: int = 1536, seconds: float = 0.7) -> float:
    """FLOP/s of the fastest square product met in ``seconds``: other work only slows it down."""
    a, b = (torch.ones(size, size, dtype=dtype) for _ in range(2))
    best, end = float("inf"), perf_counter() + seconds
    while perf_counter() < end:
        start = perf_counter()
        a @ b
        best = min(best, perf_counter() - start)
    return 2 * size**3 / best
