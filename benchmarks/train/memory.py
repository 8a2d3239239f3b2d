"""Memory of this process, or of its GPU: now, at most, and what is free."""

from __future__ import annotations

import gc
import resource
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")


def resident(device: str) -> int:
    """Bytes that are in use now."""
    gc.collect()
    return torch.cuda.memory_allocated() if device == "cuda" else _field(_STATUS, "VmRSS")


def forget_peak(device: str) -> None:
    """Set the high-water mark back to what is in use."""
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def peak(device: str) -> int:
    """Bytes in use at most since :func:`forget_peak`."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else _field(_STATUS, "VmHWM")


def free(device: str) -> int:
    """Bytes that another process could take."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return _field(Path("/proc/meminfo"), "MemAvailable")


def page_faults() -> int:
    """Pages that the system had to map for this process so far without reading a disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _field(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{file} has no {name}; memory on a CPU is read on Linux alone")
