"""Writes what ``gpu_engines`` measured: all of it as JSON, the best of each kind as a table."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

HEADER = (
    "| shape | contender | ms | to dense | T op/s | floor ms | of the roofline |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def write(rows: list[dict[str, Any]], wrong: list[str], output: Path, device: str) -> None:
    """Write ``output`` and the table beside it, and print the table."""
    machine = {"device": _device_name(device), "system": platform.platform()}
    versions = {name: _version(name) for name in ("torch", "triton")}
    output.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "versions": versions, "wrong": wrong, "rows": rows}
    output.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    text = _page(rows, wrong, f"{machine['device']}, {versions}")
    output.with_suffix(".md").write_text(text, "utf-8")
    print(text)


def _page(rows: list[dict[str, Any]], wrong: list[str], where: str) -> str:
    told = [_line(row) for row in best_of_each_kind(rows)]
    failures = [f"- {line}" for line in wrong] or ["- none"]
    title = f"# Products of a ternary layer on a GPU\n\n{where}\n"
    return "\n".join(
        [title, HEADER, *told, "\nWays that failed or gave wrong numbers:", *failures, ""]
    )


def best_of_each_kind(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each shape the fastest tile of each way; a way's name ends in its tile."""
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        name: str = row["contender"]
        last = name.rsplit(" ", 1)[-1]
        kind = name.removesuffix(last) if "x" in last and "w" in last else name
        key = (row["shape"], kind)
        if key not in best or row["milliseconds"] < best[key]["milliseconds"]:
            best[key] = row
    return list(best.values())


def _line(row: dict[str, Any]) -> str:
    ratio = f"{row['ratio_to_dense']:.3f}" if "ratio_to_dense" in row else "–"
    return (
        f"| {row['shape']} | {row['contender']} | {row['milliseconds']:.3f} | {ratio} "
        f"| {row['tera_operations_per_second']:.0f} | {row['floor_milliseconds']:.3f} "
        f"| {row['of_the_roofline']:.2f} |"
    )


def _device_name(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return "a CPU, in Triton's interpreter: times mean nothing"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
