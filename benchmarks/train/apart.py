"""Packages in a folder of their own, because beside ours they could not be installed.

One peer is called ``bitnet`` as we are, and asks through a second package for three dozen others it
hardly uses. So its one file is loaded under a private name, and the packages between it and the one
file it imports are entered without being run. Nothing of the peers' code is changed.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.metadata import distributions
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType


def version_apart(folder: str, package: str) -> str | None:
    """The version of a package in the folder; ``None``: it is not there."""
    found = distributions(name=package, path=[folder])
    return next((each.version for each in found), None)


def stands_apart(folder: str, module: str) -> bool:
    """Whether a top-level module can be imported from the folder."""
    return PathFinder.find_spec(module, [folder]) is not None


def look_there(folder: str) -> None:
    """Let imports look into the folder last, so that what is installed goes first."""
    if folder not in sys.path:
        sys.path.append(folder)


def load_file(file: Path, name: str) -> ModuleType:
    """A single file as the module ``name``.

    Raises:
        ImportError: there is no such file, or it cannot be imported.
    """
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ImportError(f"{file.name}: cannot be loaded")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def enter_unrun(folder: str, package: str) -> None:
    """Make the modules below a dotted package importable without running its ``__init__`` files.

    A package that is imported already stays what it is.
    """
    parts = package.split(".")
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        if name not in sys.modules:
            bare = ModuleType(name)
            bare.__path__ = [str(Path(folder, *parts[:count]))]
            sys.modules[name] = bare
