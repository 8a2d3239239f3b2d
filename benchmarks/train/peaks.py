"""What this machine can do at best, measured: the roof that steps are held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch

_SECONDS = 0.7
_SIZES = {"cpu": (1536, 1 << 28), "cuda": (8192, 1 << 31)}
"""Of a square product, and bytes of a copy that no cache holds."""


@dataclass(frozen=True)
class Peaks:
    """The fastest met in a while, since other work only slows a machine down.

    Attributes:
        bf16: FLOP/s of a square bf16 product.
        int8: operations a second of a square int8 product with int32 sums.
        bytes_per_second: of a copy, read and written bytes together.
    """

    bf16: float
    int8: float
    bytes_per_second: float


def measured_peaks(device: str) -> Peaks:
    """Measure the peaks of ``cpu`` (with torch's threads) or ``cuda``; takes some seconds."""
    size, copied = _SIZES[device]
    a, b = (torch.randn(size, size, device=device).to(torch.bfloat16) for _ in range(2))
    x, y = (torch.randint(-127, 128, (size, size), device=device).to(torch.int8) for _ in range(2))
    out = torch.empty(size, size, dtype=torch.bfloat16, device=device)
    sums = torch.empty(size, size, dtype=torch.int32, device=device)
    source, target = (torch.ones(copied, dtype=torch.uint8, device=device) for _ in range(2))
    operations = 2.0 * size**3
    return Peaks(
        bf16=operations / _fastest(lambda: torch.mm(a, b.t(), out=out), device),
        int8=operations / _fastest(lambda: torch._int_mm(x, y.t(), out=sums), device),
        bytes_per_second=2.0 * copied / _fastest(lambda: target.copy_(source), device),
    )


def _fastest(work: Callable[[], object], device: str) -> float:
    """Seconds of the fastest call met."""
    best, end = float("inf"), perf_counter() + _SECONDS
    while perf_counter() < end:
        start = perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, perf_counter() - start)
    return best
