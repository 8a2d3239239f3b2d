"""The arithmetic peaks that a run is measured against: from a table, or measured, never guessed.

For a GPU the vendor's dense figures are used; whoever builds the run brings the table of them. A
CPU has no such published figures, so its own best matrix product is timed once at the start, and
the run's record says that it was measured.

Two numbers come of it. MFU counts all of a model's operations against the peak of the compute
dtype, as everywhere: a ternary run can exceed what its dense twin can reach, because int8 units are
faster. The peak share is honest about that: it asks how long the products would take if each ran at
the peak of the format it is computed in, and divides by the time that the step took. For a dense
model the two are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch

Published = Callable[[str, str], float | None]
"""The name by which torch knows a GPU, and ``bf16``, ``fp32`` or ``int8``, to operations a second
as its maker says."""

FORMULAE = {
    "mfu": "tokens_per_second * flops_per_token / (devices * peak)",
    "peak_share": "tokens_per_second / devices * ((flops_per_token - eight_bit_per_token) / peak"
    " + eight_bit_per_token / peak_eight_bit)",
}
"""The two columns of the metrics."""


@dataclass(frozen=True)
class Peak:
    """What one device can do.

    Attributes:
        flops: a second, in the compute dtype; ``None``: unknown.
        source: where the number comes from.
        eight_bit: operations a second of int8 products (on GPUs that have e4m3, the same for it);
            ``None``: unknown, or of no use to the model.
    """

    flops: float | None
    source: str
    eight_bit: float | None = None

    def seconds(self, flops: float, eight_bit: float) -> float | None:
        """The least time for ``flops`` operations, ``eight_bit`` of them in 8 bits."""
        if self.flops is None or (eight_bit and self.eight_bit is None):
            return None
        return (flops - eight_bit) / self.flops + eight_bit / (self.eight_bit or self.flops)


def device_peak(
    device: torch.device, dtype: torch.dtype, published: Published, eight_bit: bool = False
) -> Peak:
    """The peak of ``device`` for products in ``dtype``.

    Args:
        device: of this process.
        dtype: of the products.
        published: the table of data sheets.
        eight_bit: find that of int8 products as well; on a CPU this takes a moment.
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        compute = "bf16" if dtype == torch.bfloat16 else "fp32"
        flops = published(name, compute)
        if flops is None:
            return Peak(None, f"no peak is known for {name} in {dtype}")
        small = published(name, "int8") if eight_bit else None
        return Peak(flops, f"data sheet of {name}, dense {compute}", small)
    if device.type == "cpu":
        small = _measure(torch.int8) if eight_bit else None
        return Peak(_measure(dtype), f"measured {dtype} matrix product of this CPU", small)
    return Peak(None, f"no peak is known for {device.type}")


def _measure(dtype: torch.dtype, size: int = 1536, seconds: float = 0.7) -> float:
    """Operations a second of the fastest square product met in ``seconds``.

    Other work on the machine only slows it down. In int8 it is torch's product into int32.
    """
    a, b = (torch.ones(size, size, dtype=dtype) for _ in range(2))
    multiply = torch._int_mm if dtype == torch.int8 else torch.mm
    best, end = float("inf"), perf_counter() + seconds
    while perf_counter() < end:
        start = perf_counter()
        multiply(a, b)
        best = min(best, perf_counter() - start)
    return 2 * size**3 / best
