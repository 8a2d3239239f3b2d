"""Memory of this process, or of its GPU: now, at most, and what is free.

On a CPU the process's own peak holds what its heap could not use again, which changes by a few
percent from run to run; so what its tensors take is counted as well, as a GPU's allocator does.
"""

from __future__ import annotations

import gc
import json
import resource
import tempfile
from collections.abc import Callable, Iterable
from itertools import accumulate
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

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


def tensor_peak(device: str, held: Iterable[torch.Tensor], step: Callable[[], object]) -> int:
    """Bytes of tensors at most while ``step`` runs; on CUDA :func:`peak`.

    Args:
        device: ``cpu`` or ``cuda``.
        held: what is there before and after: parameters, buffers, the optimizer's state.
        step: what is done; it begins without gradients.
    """
    if device == "cuda":
        return peak(device)
    before = sum({id(each): each.numel() * each.element_size() for each in held}.values())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        seen.export_chrome_trace(str(file))
        text = file.read_text(errors="replace")  # names may hold anything
        events = json.loads(text, strict=False)["traceEvents"]
    changes = [each for each in events if each.get("name") == "[memory]"]
    changes.sort(key=lambda each: each["ts"])
    return before + max(accumulate((int(each["args"]["Bytes"]) for each in changes), initial=0))


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
