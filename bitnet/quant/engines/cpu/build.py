"""Builds the CPU kernel with the C++ compiler that torch.compile needs too, once a machine.

The sources are plain C++ without torch's headers, so a build takes two seconds; the
result is kept in the user's cache under a digest of everything it depends on. Where there is no
compiler, or the processor lacks the instructions, the reason is kept instead, and public operations
serve.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = [HERE / f"{name}.cpp" for name in ("products", "input_gradient", "weight_gradient")]
HEADERS = [HERE / f"{name}.h" for name in ("bf16_tiles", "rows", "words")]
COMPILERS = ("g++", "clang++", "c++")
FLAGS = (
    *("-O3", "-std=c++17", "-shared", "-fPIC", "-fopenmp"),
    # A fused multiply-add would round otherwise than the formula does.
    "-ffp-contract=off",
    *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni"),
    *("-mavx512bf16", "-mtune=native"),
)


class KernelUnavailableError(RuntimeError):
    """The kernel cannot be built or cannot run here; the message says why."""


@cache
def load() -> ctypes.CDLL:
    """The compiled kernel.

    Raises:
        KernelUnavailableError: there is no compiler, it failed, or the processor is another one.
    """
    compiler = _compiler()
    library = ctypes.CDLL(str(_built(compiler)))
    if not library.bitnet_runs_here():
        raise KernelUnavailableError("the processor has no AVX-512 VNNI")
    return library


@cache
def why_not() -> str | None:
    """Why there is no kernel in this process, or ``None`` if there is one."""
    try:
        load()
    except (KernelUnavailableError, OSError) as error:
        return str(error)
    return None


def multiplies_bf16() -> bool:
    """Whether the kernel, which has to be there, can also make the gradients that stay in bf16."""
    return bool(load().bitnet_has_bf16())


def cache_folder() -> Path:
    """Where built kernels are kept: below ``XDG_CACHE_HOME``, or ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "bitnet" / "kernels"


def _compiler() -> str:
    named = os.environ.get("CXX")
    for name in (named, *COMPILERS):
        if name and shutil.which(name):
            return name
    raise KernelUnavailableError("there is no C++ compiler (g++ or clang++) on the PATH")


def _built(compiler: str) -> Path:
    """The library for this source, compiler and flags; built if it is not there."""
    version = _run([compiler, "--version"])
    parts = (*(file.read_text() for file in (*SOURCES, *HEADERS)), version, *FLAGS)
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    for folder in (cache_folder(), Path(tempfile.gettempdir()) / f"bitnet-{os.getuid()}"):
        path = folder / f"products-{digest}.so"
        if path.is_file():
            return path
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return _build(compiler, path)
        except OSError:
            continue  # a home that cannot be written
    raise KernelUnavailableError("neither the cache nor the temporary folder can be written")


def _build(compiler: str, path: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        _run([compiler, *FLAGS, *map(str, SOURCES), "-o", str(made)])
        made.replace(path)  # whole or not at all: processes may build side by side
    return path


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error" in line] or ["no message"]
        raise KernelUnavailableError(f"{command[0]} failed: {said[0].strip()}")
    return done.stdout
