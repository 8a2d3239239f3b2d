"""Finds the text files of the Python installation and names them without the machine's paths."""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from email import message_from_string
from importlib import metadata
from pathlib import Path

from bitnet.data.pocket.cache import OWN_DISTRIBUTION, installed_distributions

LARGEST_FILE_BYTES = 1 << 20
_SKIPPED_FOLDERS = frozenset({"__pycache__", "site-packages", "dist-packages", OWN_DISTRIBUTION})


def installation_files(suffixes: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Files of the standard library and of the packages, as (machine-independent name, path).

    The order is by a hash of the name: fixed, yet a prefix of it is a fair sample.
    """
    paths = sysconfig.get_paths()
    roots = {"stdlib": paths["stdlib"], "packages": paths["purelib"], "platform": paths["platlib"]}
    seen: set[str] = set()
    found: dict[str, Path] = {}
    for label, root in roots.items():
        real = os.path.realpath(root)
        if real not in seen:
            seen.add(real)
            found.update(_walk(label, Path(real), suffixes))
    return sorted(found.items(), key=lambda item: hashlib.blake2b(item[0].encode()).digest())


def _walk(label: str, root: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _SKIPPED_FOLDERS]
        for file in files:
            if file.endswith(suffixes):
                path = Path(folder, file)
                yield f"{label}/{path.relative_to(root).as_posix()}", path


def read_text(path: Path) -> str | None:
    """Text of a file, or None if it is unreadable, not UTF-8, or too large to be hand-written."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def project_pages() -> Iterator[tuple[str, str]]:
    """Names and descriptions of the installed projects, in the order of their names."""
    found: dict[str, str] = {}
    for distribution in installed_distributions():
        page = _description(distribution)
        if page:
            found.setdefault(distribution.name, page)
    yield from sorted(found.items())


def _description(distribution: metadata.Distribution) -> str:
    text = distribution.read_text("METADATA") or ""
    message = message_from_string(text)
    body = message.get_payload()
    return body.strip() if isinstance(body, str) and body.strip() else ""
