"""Where harvested corpora are kept, and how one is built so that it is whole or not there.

The folder is named after what the harvest depends on (Python, the installed packages, the
settings), so installing a package leads to another corpus and never to a changed one.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sysconfig
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

OWN_DISTRIBUTION = "bitnet"
"""Not harvested: the corpus must not change while this project is worked on."""


def cache_folder(cache_dir: str | None) -> Path:
    """The folder for everything kept between runs."""
    if cache_dir:
        return Path(cache_dir).expanduser()
    own = os.environ.get("BITNET_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(shared).expanduser() / "bitnet"


def environment_key(*settings: object) -> str:
    """Short name of this Python with its packages, and of `settings`."""
    packages = sorted(f"{dist.name}=={dist.version}" for dist in installed_distributions())
    described = [platform.python_version(), platform.system(), *packages, *map(str, settings)]
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:16]


def installed_distributions() -> list[metadata.Distribution]:
    """What is installed in this environment, this project left out.

    Looked up in its folders and not on `sys.path`, which grows while a program runs (setuptools,
    for one, puts packages of its own there).
    """
    paths = sysconfig.get_paths()
    folders = dict.fromkeys(os.path.realpath(paths[name]) for name in ("purelib", "platlib"))
    found = metadata.distributions(path=list(folders))
    return [dist for dist in found if dist.name and dist.name.lower() != OWN_DISTRIBUTION]


def build_folder(folder: Path, build: Callable[[Path], None]) -> None:
    """Have `build` fill a folder that appears under its name only when it is complete.

    Of two processes that build at once, the first to finish wins and the other uses its work.
    """
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        build(unfinished)
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def build_file(file: Path, build: Callable[[Path], None]) -> None:
    """Have `build` write a file that appears under its name only when it is complete."""
    if file.is_file():
        return
    handle, unfinished = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    os.close(handle)
    try:
        build(Path(unfinished))
        Path(unfinished).replace(file)
    finally:
        Path(unfinished).unlink(missing_ok=True)
