"""Builds CPU kernels with the C++ compiler that torch.compile needs too, once a machine.

The sources are C++ with at most a few of torch's headers, so a build takes seconds; the result is
kept in the user's cache under a digest of everything it depends on. Where there is no compiler, or
the processor lacks the instructions, the reason is kept instead, and public operations serve.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

SHARED = Path(__file__).parent
COMPILERS = ("g++", "clang++", "c++")
FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC")
KERNEL_FLAGS = (
    "-fopenmp",
    # A fused multiply-add would round otherwise than the formula does.
    "-ffp-contract=off",
    *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni"),
    *("-mavx512bf16", "-mtune=native"),
)


class KernelUnavailableError(RuntimeError):
    """The kernel cannot be built or cannot run here; the message says why."""


@dataclass(frozen=True)
class Library:
    """Some kernels that are built together.

    Attributes:
        name: of the file, for people.
        folder: where all sources (``.cpp``) and headers (``.h``) are that only they need.
        runs_here: name of its function that tells whether it can run on this machine.
        needs: what a machine has to have for it, for people.
        with_torch: whether it calls torch's own C++, rather than computes with wide registers.
    """

    name: str
    folder: Path
    runs_here: str
    needs: str
    with_torch: bool = False

    def load(self) -> ctypes.CDLL:
        """The compiled library.

        Raises:
            KernelUnavailableError: there is no compiler, it failed, or the processor is another.
        """
        return _load(self)

    def why_not(self) -> str | None:
        """Why there is no such library in this process, or ``None`` if there is one."""
        return _why_not(self)

    def files(self, ending: str) -> list[Path]:
        """Its files of one kind, in order."""
        return sorted(self.folder.glob(f"*{ending}"))

    def flags(self) -> tuple[str, ...]:
        """What the compiler is told besides the files."""
        if not self.with_torch:
            return (*FLAGS, *KERNEL_FLAGS)
        home = Path(torch.__file__).parent
        libraries = (f"-L{home / 'lib'}", "-lc10", f"-Wl,-rpath,{home / 'lib'}")
        return (*FLAGS, f"-isystem{home / 'include'}", *libraries)


@cache
def _load(library: Library) -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(built(library, _compiler())))
    if not getattr(loaded, library.runs_here)():
        raise KernelUnavailableError(f"this machine has no {library.needs}")
    return loaded


@cache
def _why_not(library: Library) -> str | None:
    try:
        _load(library)
    except (KernelUnavailableError, OSError) as error:
        return str(error)
    return None


def forget() -> None:
    """Look for the compiler anew at the next call; for tests."""
    _load.cache_clear()
    _why_not.cache_clear()


def cache_folder() -> Path:
    """Where built kernels are kept: below ``XDG_CACHE_HOME``, or ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "bitnet" / "kernels"


def built(library: Library, compiler: str) -> Path:
    """The file for these sources, compiler and flags; built if it is not there."""
    version = _run([compiler, "--version"])
    read = (*library.files(".cpp"), *library.files(".h"), *sorted(SHARED.glob("*.h")))
    parts = (*(file.read_text() for file in read), version, *library.flags())
    if library.with_torch:
        parts += (torch.__version__,)
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    for folder in (cache_folder(), Path(tempfile.gettempdir()) / f"bitnet-{os.getuid()}"):
        path = folder / f"{library.name}-{digest}.so"
        if path.is_file():
            return path
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return _build(library, compiler, path)
        except OSError:
            continue  # a home that cannot be written
    raise KernelUnavailableError("neither the cache nor the temporary folder can be written")


def _compiler() -> str:
    named = os.environ.get("CXX")
    for name in (named, *COMPILERS):
        if name and shutil.which(name):
            return name
    raise KernelUnavailableError("there is no C++ compiler (g++ or clang++) on the PATH")


def _build(library: Library, compiler: str, path: Path) -> Path:
    sources = map(str, library.files(".cpp"))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        # Libraries to link with come after what needs them.
        _run([compiler, f"-I{SHARED}", *sources, *library.flags(), "-o", str(made)])
        made.replace(path)  # whole or not at all: processes may build side by side
    return path


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error" in line] or ["no message"]
        raise KernelUnavailableError(f"{command[0]} failed: {said[0].strip()}")
    return done.stdout
