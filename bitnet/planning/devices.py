"""What devices can do and hold: the one table of peaks in this project.

Peaks are dense (no structured sparsity), with fp32 accumulation where the vendor tells them apart.
Memory is what the driver reports as usable in all, in GiB, which is a little less than the name
says. Sources are the vendors' data sheets: NVIDIA H100, H200, HGX B200, A100, A40, L40S, L4 and
V100 product briefs; the Ada and Ampere (GA102) whitepapers for the RTX cards.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

GIB = 2**30


@dataclass(frozen=True)
class Device:
    """One accelerator, or the CPU.

    Attributes:
        name: what a plan calls it.
        torch_name: part of the name by which torch knows it.
        bf16: peak FLOP/s of dense bf16 products; ``None``: it has none.
        fp32: peak FLOP/s in fp32 without reduced-precision modes; ``None``: unknown.
        int8: peak operations a second of dense int8 products; ``None``: unknown.
        memory: bytes; 0: unknown.
        bandwidth: bytes a second to and from that memory; 0: unknown.
    """

    name: str
    torch_name: str
    bf16: float | None
    fp32: float | None
    int8: float | None
    memory: float
    bandwidth: float

    def peak(self, compute: str) -> float | None:
        """Operations a second in ``bf16``, ``fp32`` or ``int8``."""
        return {"bf16": self.bf16, "fp32": self.fp32, "int8": self.int8}[compute]

    @property
    def kind(self) -> str:
        """``cpu`` or ``cuda``."""
        return "cpu" if self.name == "cpu" else "cuda"


def _gpu(
    name: str,
    torch_name: str,
    bf16: float | None,
    fp32: float,
    int8: float | None,
    gib: float,
    gb_per_second: float,
) -> Device:
    """A row of the table, in units of 1e12 a second, GiB and 1e9 bytes a second."""
    return Device(
        name=name,
        torch_name=torch_name,
        bf16=None if bf16 is None else bf16 * 1e12,
        fp32=fp32 * 1e12,
        int8=None if int8 is None else int8 * 1e12,
        memory=gib * GIB,
        bandwidth=gb_per_second * 1e9,
    )


# The longer name first where one holds another.
_GPUS = (
    _gpu("b200", "B200", 2250, 75, 4500, 178, 8000),
    _gpu("h200", "H200", 989.4, 66.9, 1978.9, 139.8, 4800),
    _gpu("h100_pcie", "H100 PCIe", 756, 51.2, 1513, 79.1, 2000),
    _gpu("h100", "H100", 989.4, 66.9, 1978.9, 79.1, 3350),
    _gpu("a100_80", "A100-SXM4-80GB", 312, 19.5, 624, 79.1, 2039),
    _gpu("a100_80_pcie", "A100 80GB PCIe", 312, 19.5, 624, 79.1, 1935),
    _gpu("a100_40", "A100", 312, 19.5, 624, 39.4, 1555),
    _gpu("a40", "A40", 149.7, 37.4, 299.3, 44.4, 696),
    _gpu("l40s", "L40S", 362, 91.6, 733, 44.4, 864),
    _gpu("l4", "L4", 121, 30.3, 242, 22.0, 300),
    _gpu("rtx_4090", "RTX 4090", 165.2, 82.6, 660.6, 23.5, 1008),
    _gpu("rtx_3090", "RTX 3090", 71, 35.6, 284, 23.6, 936),
    _gpu("rtx_3060", "RTX 3060", 25.5, 12.7, 102, 11.8, 360),
    _gpu("v100", "V100", None, 15.7, None, 31.7, 900),
)
DEVICES = {each.name: each for each in (*_GPUS, Device("cpu", "", None, None, None, 0, 0))}
"""Name to device; the CPU's figures are those of the machine at hand."""


def find_gpu(torch_name: str) -> Device | None:
    """The device that torch calls ``torch_name``, such as ``NVIDIA H100 80GB HBM3``."""
    return next((each for each in _GPUS if each.torch_name in torch_name), None)


def published_peak(torch_name: str, compute: str) -> float | None:
    """Operations a second of that GPU in ``bf16``, ``fp32`` or ``int8``, if the table has it."""
    gpu = find_gpu(torch_name)
    return None if gpu is None else gpu.peak(compute)


def this_cpu(peak: float | None, compute: str) -> Device:
    """The CPU of this machine.

    Args:
        peak: measured FLOP/s, if it was measured.
        compute: format it was measured in.
    """
    cpu = replace(DEVICES["cpu"], memory=_memory_here())
    return replace(cpu, bf16=peak) if compute == "bf16" else replace(cpu, fp32=peak)


def _memory_here() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # not every system tells
        return 0.0
