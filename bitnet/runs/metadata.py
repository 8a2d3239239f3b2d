"""Where a run came from: the code, the packages and the machine, asked once at its start.

A number on a plot can be reproduced only if these three are known. Only the standard library is
used; what needs torch (the GPUs) is handed in by the caller.
"""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "bitnet",
    "torch",
    "lightning",
    "hydra-core",
    "omegaconf",
    "datasets",
    "tokenizers",
    "numpy",
    "wandb",
)


def collect(machine_extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """The fields ``git``, ``versions`` and ``machine`` of ``run.json``.

    Args:
        machine_extra: what only the caller can know of the machine, such as GPU names.
    """
    return {
        "git": git_state(),
        "versions": versions(),
        "machine": machine() | (machine_extra or {}),
    }


def git_state(file: Path = Path(__file__)) -> dict[str, Any] | None:
    """``sha`` and ``dirty`` of the repository that tracks ``file``.

    ``None`` where no repository does: an installed package is known by its version, even if the
    environment it is installed in lies inside somebody's repository.
    """
    folder = file.resolve().parent
    if _git(folder, "ls-files", "--error-unmatch", file.name) is None:
        return None
    changes = _git(folder, "status", "--porcelain")
    return {"sha": _git(folder, "rev-parse", "HEAD"), "dirty": bool(changes)}


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages a run's numbers depend on; ``None``: not there."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def machine() -> dict[str, Any]:
    """Host, system, processor, usable cores, and memory in bytes."""
    return {
        "host": socket.gethostname(),
        "system": platform.platform(),
        "cpu": _cpu_model(),
        "cores": _usable_cores(),
        "memory_bytes": _memory_bytes(),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers in ``folder``; ``None`` if it fails or is not installed."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str:
    """The processor's name; Linux alone does not tell it through ``platform``."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8", "replace").splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _usable_cores() -> int:
    """Cores this process may run on, which in a container can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int | None:
    """Physical memory; ``None`` where the system does not say (Windows)."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
