"""Whether torch.compile can work here and in which mode, decided once and said aloud.

Inductor needs a C++ compiler on CPU and Triton on CUDA. Where one is missing, a run that asked for
``compile=auto`` goes on uncompiled with one clear line; with ``compile=always`` it stops.

Of the modes, ``max-autotune-no-cudagraphs`` measures several kernels for each product and takes the
fastest. ``reduce-overhead`` records CUDA graphs, and ``max-autotune`` does both. Blocks and head
are compiled one by one, so a pass is a chain of graphs, and these read and write fixed memory: they
cannot serve what moves between passes, and such combinations are refused.
"""

from __future__ import annotations

import importlib.util
import os
import shutil

MODES = ("auto", "always", "never")
GRAPH_MODES = ("reduce-overhead", "max-autotune")
COMPILE_MODES = ("default", "max-autotune-no-cudagraphs", *GRAPH_MODES)


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


def graph_problems(mode: str, device: str, kind: str, devices: int, accumulates: bool) -> list[str]:
    """Why CUDA graphs, if ``mode`` records them, cannot serve a run; a line a reason.

    Args:
        mode: one of ``COMPILE_MODES``.
        device: ``cpu``, or anything else for a GPU.
        kind: of the model's linears.
        devices: that train together.
        accumulates: a step has more than one pass.
    """
    if mode not in GRAPH_MODES:
        return []
    reasons = {
        "there are none on a CPU": device == "cpu",
        f"linear.kind={kind} makes its codes anew at each step, elsewhere in memory": (
            kind != "dense"
        ),
        f"gradients are exchanged between {devices} devices outside of them": devices > 1,
        "a step has several passes, and each would overwrite the gradients of the one before": (
            accumulates
        ),
    }
    return [
        f"'{mode}' records CUDA graphs, and {reason}; use default or max-autotune-no-cudagraphs"
        for reason, holds in reasons.items()
        if holds
    ]
