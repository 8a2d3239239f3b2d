"""The arithmetic peak that MFU is measured against: from a table, or measured, never guessed.

For a GPU the vendor's dense bf16 figure is used. A CPU has no such published figure, so its own
best matrix product is timed once at the start, and the run's record says that it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import torch

# Dense bf16 tensor-core peaks in FLOP/s, by a part of the device's name; vendors' data sheets.
_GPU_PEAKS = {
    "H200": 989.4e12,
    "H100 PCIe": 756e12,
    "H100": 989.4e12,
    "B200": 2250e12,
    "A100": 312e12,
    "A40": 149.7e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165.2e12,
    "RTX 3090": 71e12,
    "V100": 125e12,
}


@dataclass(frozen=True)
class Peak:
    """``flops`` a second of one device (``None``: unknown) and where the number comes from."""

    flops: float | None
    source: str


def device_peak(device: torch.device, dtype: torch.dtype) -> Peak:
    """The peak of ``device`` for products in ``dtype``."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for part, flops in _GPU_PEAKS.items():
            if part in name and dtype == torch.bfloat16:
                return Peak(flops, f"data sheet of {part}, dense bf16")
        return Peak(None, f"no peak is known for {name} in {dtype}")
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
