"""What was measured on this machine before, so that it is not measured at every start.

One small JSON file below the user's cache folder, by GPU, torch and Triton. It holds the name of
the fastest way for a shape and the times behind it; losing it costs a measurement and nothing else,
so a file that cannot be read counts as empty and one that cannot be written is left.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch

_log = logging.getLogger(__name__)

# Raised whenever the kernels change so much that old times say nothing about them.
REVISION = 1


class Entry(NamedTuple):
    """A choice and its reason.

    Attributes:
        way: the name of the fastest way (see ``ways.py``).
        milliseconds: what each way took; those that failed are missing.
    """

    way: str
    milliseconds: dict[str, float]


def ledger_path() -> Path:
    """``$XDG_CACHE_HOME/bitnet/int8_products.json``, or below ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "bitnet" / "int8_products.json"


def machine_key(gpu: str) -> str:
    """What times depend on besides the shape: GPU and versions."""
    return f"{gpu} | torch {torch.__version__} | triton {_triton()} | revision {REVISION}"


def read(path: Path, machine: str) -> dict[str, Entry]:
    """All entries of a machine by shape; empty where the file is missing or not ours."""
    try:
        return {shape: _entry(row) for shape, row in _load(path).get(machine, {}).items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as problem:
        _log.debug("times of int8 products in %s are not used: %s", path, problem)
        return {}


def record(path: Path, machine: str, shape: str, entry: Entry) -> None:
    """Add one entry. What other processes wrote meanwhile is kept; the file is replaced at once."""
    try:
        content = _load(path)
    except (OSError, ValueError):
        content = {}
    shapes = content.get(machine)
    row = {"way": entry.way, "milliseconds": entry.milliseconds}
    content[machine] = {**(shapes if isinstance(shapes, dict) else {}), shape: row}
    try:
        _replace(path, json.dumps(content, indent=1, sort_keys=True))
    except OSError as problem:
        _log.debug("times of int8 products are not kept in %s: %s", path, problem)


def _load(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    content = json.loads(path.read_text("utf-8"))
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return content


def _entry(row: dict[str, Any]) -> Entry:
    times = {str(name): float(time) for name, time in row["milliseconds"].items()}
    return Entry(str(row["way"]), times)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def _triton() -> str:
    try:
        return version("triton")
    except PackageNotFoundError:
        return "none"
