"""Finds files that are gone, cut or changed since they were prepared.

Sizes are looked at whenever a folder is opened. Hashing everything would take hours for a large
corpus, so files whose size and time of change are those of their last hashing are trusted; a
sidecar file remembers them. `bitnet data verify` trusts nothing.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from bitnet.data.errors import DataError
from bitnet.data.prepared.files import Stored, checksum_of, read_json, write_json
from bitnet.data.prepared.layout import VERIFIED, source_folder
from bitnet.data.prepared.manifest import Manifest

log = logging.getLogger(__name__)

MODES = ("changed", "always", "never")
"""Which files are hashed when a folder is opened."""

_CURE = "restore it, or delete it and give the command of bitnet prepare again"

Seen = dict[str, list[int]]
"""Size and time of change (ns) of each file when it was last known to be right."""


def check_folder(folder: Path, manifest: Manifest, mode: str) -> None:
    """Refuse a folder whose files are not those of its manifest.

    Args:
        folder: the folder.
        manifest: what it must hold.
        mode: one of `MODES`; sizes are compared in every one.

    Raises:
        DataError: the first file that is missing or differs.
    """
    files, there = _files_of(manifest), _look_at_all(folder, manifest)
    for name, stored in files.items():
        if name not in there or there[name][0] != stored.size:
            _refuse(size_problem(folder, name, stored))
    if mode == "never":
        return
    known = _read_seen(folder) if mode == "changed" else {}
    doubtful = [name for name in files if known.get(name) != there[name]]
    if len(doubtful) > 1 and known:
        log.info("%s: hashing %d files that changed since the last time", folder, len(doubtful))
    for name in doubtful:
        _refuse(checksum_problem(folder, name, files[name]))
    if doubtful:
        remember(folder, manifest)


def find_damage(folder: Path, manifest: Manifest, on_bytes: Callable[[int], None]) -> Iterator[str]:
    """One line for each file that is missing or differs; everything is read.

    Args:
        folder: the folder.
        manifest: what it must hold.
        on_bytes: called with the size of each file when it has been looked at.
    """
    for name, stored in _files_of(manifest).items():
        problem = size_problem(folder, name, stored)
        problem = problem or checksum_problem(folder, name, stored)
        if problem:
            yield problem
        on_bytes(stored.size)


def size_problem(folder: Path, name: str, stored: Stored) -> str:
    """Why a file can't be the one that was prepared, at a glance; or an empty string."""
    path = folder / name
    if not path.is_file():
        return f"{path}: is missing; {_CURE.removeprefix('restore it, or delete it and ')}"
    size = path.stat().st_size
    if size != stored.size:
        return f"{path}: holds {size} bytes, the manifest says {stored.size}; {_CURE}"
    return ""


def checksum_problem(folder: Path, name: str, stored: Stored) -> str:
    """Why the content of a file isn't what was prepared, or an empty string."""
    found = checksum_of(folder / name)
    if found == stored.checksum:
        return ""
    return (
        f"{folder / name}: was changed after it was prepared: its checksum is {found}, the "
        f"manifest says {stored.checksum}; {_CURE}"
    )


def remember(folder: Path, manifest: Manifest) -> None:
    """Note that all files are right as they are now; a folder that can't be written stays as is."""
    there = _look_at_all(folder, manifest)
    seen = {name: there[name] for name in _files_of(manifest)}
    with suppress(OSError):
        write_json(folder / VERIFIED, seen)


def bytes_of(manifest: Manifest) -> int:
    """Bytes of all files of the shards."""
    return sum(stored.size for stored in _files_of(manifest).values())


def _files_of(manifest: Manifest) -> dict[str, Stored]:
    return {
        name: stored
        for shards in manifest.shards.values()
        for shard in shards
        for name, stored in shard.files()
    }


def _look_at_all(folder: Path, manifest: Manifest) -> Seen:
    """Size and time of every file in the folders of the sources.

    A folder at a time: a corpus may have a hundred thousand files, and to look at each by its path
    takes several times as long.
    """
    found: Seen = {}
    for place in map(source_folder, manifest.shards):
        with suppress(FileNotFoundError), os.scandir(folder / place) as entries:
            for entry in entries:
                if entry.is_file():
                    status = entry.stat()
                    found[f"{place}/{entry.name}"] = [status.st_size, status.st_mtime_ns]
    return found


def _read_seen(folder: Path) -> Seen:
    """The sidecar; a missing or broken one only means that everything is hashed."""
    path = folder / VERIFIED
    with suppress(DataError, json.JSONDecodeError):
        return read_json(path) if path.is_file() else {}
    return {}


def _refuse(problem: str) -> None:
    if problem:
        raise DataError(problem)
