"""What is written after a measurement: JSON for programs, Markdown and a picture for people."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks.data.machine import machine
from benchmarks.train.apart import version_apart
from benchmarks.train.plot import draw
from benchmarks.train.rows import MFU_FORMULA
from benchmarks.train.tables import markdown
from benchmarks.train.task import Task

PACKAGES = ("torch", "triton", "torchao", "transformers")
APART = ("bitnet", "zetascale", "bitlinear", "onebitllms")


def report_of(
    asked: Mapping[str, Any],
    task: Task,
    rows: list[dict[str, Any]],
    peak: str,
    bounds: dict[str, Any],
) -> dict[str, Any]:
    """The whole report.

    Args:
        asked: what was said on the command line, or left at its default; ``None`` is left out.
        task: any contender's.
        rows: of the tables.
        peak: where the peak of the MFU comes from.
        bounds: rooflines by shape; empty if none were asked for.
    """
    given = [f"{key}={value}" for key, value in asked.items() if value is not None]
    said = " ".join(f'"{each}"' if " " in each else each for each in given)
    gpu = torch.cuda.get_device_name() if task.device == "cuda" else None
    report = {
        "command": f"bitnet bench train {said}",
        "machine": machine() | {"threads": task.threads, "gpu": gpu, **_allocator(task)},
        "versions": versions(task.peers),
        "mfu": {"formula": MFU_FORMULA, "peak": peak},
        "rows": rows,
    }
    return report | ({"roofline": bounds} if bounds else {})


def _allocator(task: Task) -> dict[str, str]:
    return {"cpu_allocator": task.cpu_allocator} if task.device == "cpu" else {}


def versions(folder: str) -> dict[str, str | None]:
    """Of Python, of what is installed, and of the peers in their folder; none if it isn't there."""
    here = {name: _version(name) for name in PACKAGES}
    there = {f"{name} (peer)": version_apart(folder, name) for name in APART}
    return {"python": platform.python_version()} | here | there


def write(
    report: dict[str, Any], output: Path | None, plot: Path | None, say: Callable[[str], None]
) -> None:
    """Write the JSON with its page beside it, and the picture, as far as they are asked for."""
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(report, indent=1) + "\n")
        output.with_suffix(".md").write_text(markdown(report))
    if plot is not None:
        plot.parent.mkdir(parents=True, exist_ok=True)
        where = report["machine"]["gpu"] or report["machine"]["cpu"]
        if not draw(report["rows"], where, plot):
            say(f"{plot.name}: nothing was measured, so nothing is drawn")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
