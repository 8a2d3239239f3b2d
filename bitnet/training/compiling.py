"""Whether torch.compile can work here, decided once and said aloud.

Inductor needs a C++ compiler on CPU and Triton on CUDA. Where one is missing, a run that asked for
``compile=auto`` goes on uncompiled with one clear line; with ``compile=always`` it stops.
"""

from __future__ import annotations

import importlib.util
import os
import shutil

MODES = ("auto", "always", "never")


def missing_compiler(device: str) -> str | None:
    """Why torch.compile cannot work on ``device`` (``cpu`` or ``cuda``), or ``None`` if it can."""
    if device == "cuda":
        if importlib.util.find_spec("triton") is None:
            return "the package 'triton' is not installed"
        return None
    candidates = [os.environ.get("CXX", ""), "g++", "clang++", "c++", "cl"]
    if not any(shutil.which(name) for name in candidates if name):
        return "no C++ compiler (g++ or clang++) is on the PATH"
    return None


def resolve_compile(mode: str, device: str) -> tuple[bool, str]:
    """Whether to compile, and a line for the user that says so.

    Raises:
        ValueError: ``mode`` is ``always`` and there is no compiler.
    """
    if mode == "never":
        return False, "torch.compile: off"
    missing = missing_compiler(device)
    if missing is None:
        return True, "torch.compile: on (the first step of a shape takes a while)"
    if mode == "always":
        raise ValueError(
            f"compile: 'always' cannot be had: {missing}; install it or set compile=never"
        )
    return False, f"torch.compile: off, {missing}; the run is slower but the numbers are the same"
