"""Files that are either the old version or the new one, never half of each.

A run can be killed at any instant, and `bitnet status` may read while training writes. So a file
that is replaced is first written beside its place, flushed to the disk, and then renamed: rename
within a folder is atomic.

    >>> write_json(folder / "run.json", {"state": "running"})
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``; on any failure the old file stays and no other is left."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def write_text(path: Path, content: str) -> None:
    """Replace ``path`` by UTF-8 text, line ends as given."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Replace ``path`` by indented JSON, keys in their own order.

    Raises:
        TypeError: ``content`` holds something JSON has no word for; the old file stays.
    """
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _flush_folder(folder: Path) -> None:
    """Flush the rename itself, where folders can be opened (not on Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
