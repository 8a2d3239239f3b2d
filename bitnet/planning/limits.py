"""What limits a run: the memory of a device, its arithmetic, or its memory's bandwidth."""

from __future__ import annotations

from dataclasses import dataclass

from bitnet.planning.devices import GIB, Device
from bitnet.planning.memory import GRADIENT_BYTES, MASTER_BYTES, Memory

LIBRARIES_BYTES = 1.0 * GIB
"""What the driver, CUDA's context and libraries take before anything is built, about."""


@dataclass(frozen=True)
class Limit:
    """What limits, in one sentence.

    Attributes:
        by: ``memory``, ``compute`` or ``bandwidth``; ``unknown`` where the device's figures are.
        fits: whether the memory suffices; ``None``: the device's memory is unknown.
        sentence: for people.
    """

    by: str
    fits: bool | None
    sentence: str


@dataclass(frozen=True)
class StepTime:
    """Seconds of one optimizer step on one device if nothing else limited it.

    Attributes:
        arithmetic: products at the device's peak; ``None``: that is unknown.
        traffic: what memory must at least carry, at its bandwidth; ``None``: that is unknown.
    """

    arithmetic: float | None
    traffic: float | None


def step_time(
    device: Device, compute: str, flops: float, parameters: int, needs: Memory, passes: int
) -> StepTime:
    """Both times of a step.

    Memory carries at least: gradients, masters and optimizer state once a step (masters and state
    there and back), and for each of ``passes`` micro-batches the weights in the compute dtype
    twice, gradients there and back, and everything kept for backward there and back.
    """
    peak = device.peak(compute)
    stepping = (GRADIENT_BYTES + 2 * MASTER_BYTES) * parameters + 2 * needs.optimizer
    weights = (4 if compute == "bf16" else 8) * parameters
    kept = needs.activations + needs.logits + needs.weight_copies
    passing = weights + 2 * GRADIENT_BYTES * parameters + 2 * kept
    carried = stepping + passes * passing
    return StepTime(
        arithmetic=None if peak is None else flops / peak,
        traffic=carried / device.bandwidth if device.bandwidth else None,
    )


def find_limit(needs: Memory, device: Device, time: StepTime, remedy: str) -> Limit:
    """The sentence.

    Args:
        needs: memory of a device.
        device: that has to hold it.
        time: of a step.
        remedy: what to try if it does not fit.
    """
    wanted, there = needs.total + LIBRARIES_BYTES, device.memory
    if there and wanted > there:
        parts = sorted(needs.by_kind().items(), key=lambda each: -each[1])[:3]
        largest = ", ".join(f"{name.replace('_', ' ')} {size / GIB:.3g}" for name, size in parts)
        return Limit(
            "memory",
            False,
            f"Does not fit: {wanted / GIB:.0f} GiB of {there / GIB:.0f}; "
            f"largest are {largest}. {remedy}",
        )
    fits = True if there else None
    if time.arithmetic is None or time.traffic is None:
        room = f"Memory suffices: {wanted / GIB:.3g} GiB of {there / GIB:.3g}. " if there else ""
        return Limit("unknown", fits, f"{room}Nothing is known of this device's peak or bandwidth.")
    by = "compute" if time.arithmetic >= time.traffic else "bandwidth"
    subject = "Compute" if by == "compute" else "Memory bandwidth"
    return Limit(
        by,
        fits,
        f"{subject} limits: at peak a step's arithmetic takes {time.arithmetic:.3g} s, and what "
        f"memory has to carry {time.traffic:.3g} s. It fits: {wanted / GIB:.3g} GiB of "
        f"{there / GIB:.3g}.",
    )
