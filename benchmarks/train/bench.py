"""What a training step costs in ternary, beside its dense twin and beside the libraries in use.

All contenders are one Transformer with fp32 masters and a fused AdamW, and differ in the linear
layers of its blocks. Each lives in a process of its own; they take turns within a round, so that a
noisy machine treats all alike, and a ratio is the median over rounds of the ratios within a round.
Peak memory is the process's own, over steps after compilation, less what was there before the model
was built (on CUDA: the allocator's).

Run it: ``bitnet bench train shapes=28m output=FILE plot=FILE`` (peers come by ``make peers``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.train.measure import measure
from benchmarks.train.peaks import measured_peaks
from benchmarks.train.plot import FORMATS
from benchmarks.train.report import report_of, write
from benchmarks.train.roofline_table import roofline_of
from benchmarks.train.roster import CONTENDERS
from benchmarks.train.rows import rows_of
from benchmarks.train.shapes import SHAPES, Shape
from benchmarks.train.tables import show
from benchmarks.train.task import Task, peers_folder
from bitnet.config import ConfigError
from bitnet.config.errors import nearest
from bitnet.config.validate import ALLOCATORS
from bitnet.native import page_pool
from bitnet.planning.devices import published_peak
from bitnet.training.compiling import COMPILE_MODES, GRAPH_MODES, MODES, resolve_compile
from bitnet.training.peak import device_peak

_KNOWN = {
    "shapes": list(SHAPES),
    "contenders": list(CONTENDERS),
    "device": ["cpu", "cuda"],
    "compile": list(MODES),
    "cpu_allocator": list(ALLOCATORS),
    "compile_mode": [mode for mode in COMPILE_MODES if mode not in GRAPH_MODES],
    "plot": list(FORMATS),
}


def run(
    output: Path | None = None,
    plot: Path | None = None,
    shapes: Sequence[str] = ("28m",),
    contenders: Sequence[str] = tuple(CONTENDERS),
    rounds: int = 9,
    batch: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    compile: str = "auto",
    compile_mode: str = "default",
    cpu_allocator: str = "pages",
    peers: Path | None = None,
    roofline: bool = False,
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Measure, print tables, and write what was asked for.

    Args:
        output: JSON file; the same in Markdown is written beside it.
        plot: PNG or SVG file of the ratios.
        shapes: names from ``SHAPES``.
        contenders: names from the roster; the dense twin is always measured.
        rounds: timed steps of each.
        batch: sequences of a step; ``None``: the shape's own number.
        threads: of torch in each process; ``None``: its own number.
        device: ``cpu`` or ``cuda``.
        compile: ``auto``, ``always`` or ``never``, as in training.
        compile_mode: of ``torch.compile``; those that record CUDA graphs serve no ternary model.
        cpu_allocator: of tensors on a CPU, as in training: ``pages`` or ``system``.
        peers: folder of the peers that stand apart; ``None``: where ``make peers`` puts them.
        roofline: also count operations and bytes, measure peaks, and print the bounds.
        say: where lines go.

    Returns:
        A row a shape and contender; see :func:`rows_of`.

    Raises:
        ConfigError: a name, the device or an ending is not known, or nothing can be compiled.
    """
    _check(
        shapes=shapes,
        contenders=contenders,
        device=[device],
        compile=[compile],
        compile_mode=[compile_mode],
        cpu_allocator=[cpu_allocator],
        plot=[plot.suffix] if plot else [],
    )
    compiled = _compiled(compile, device, say)
    if threads:
        torch.set_num_threads(threads)
    task = Task(
        "",
        device=device,
        threads=torch.get_num_threads(),
        compiled=compiled,
        compile_mode=compile_mode,
        cpu_allocator=_allocator(cpu_allocator, device, say),
        peers=str(peers.expanduser().absolute()) if peers else peers_folder(),
    )
    peak = device_peak(torch.device(device), torch.bfloat16, published_peak)
    roof = measured_peaks(device) if roofline else None
    rows: list[dict[str, Any]] = []
    bounds: dict[str, Any] = {}
    for name in shapes:
        shape = _sized(SHAPES[name], batch)
        found = measure(replace(task, shape=shape), contenders, rounds, say)
        own = rows_of(shape, contenders, found, peak.flops)
        rows += own
        show(own, say)
        if roof is not None:
            bounds[shape.label] = roofline_of(shape, roof, own)
            say("\n" + "\n".join(bounds[shape.label]["text"]))
        asked = {
            "shapes": ",".join(shapes),
            "rounds": rounds,
            "batch": batch,
            "device": device,
            "threads": threads,
            "contenders": None if tuple(contenders) == tuple(CONTENDERS) else ",".join(contenders),
            "compile": None if compile == "auto" else compile,
            "compile_mode": None if compile_mode == "default" else compile_mode,
            "cpu_allocator": None if cpu_allocator == "pages" else cpu_allocator,
        }
        # After each shape: an hour's work is not lost with the last one.
        write(report_of(asked, task, rows, peak.source, bounds), output, plot, say)
    return rows


def _check(**given: Sequence[str]) -> None:
    for key, names in given.items():
        known = _KNOWN[key]
        for name in names:
            if name not in known:
                hint = nearest(name, known)
                raise ConfigError(f"{key}: '{name}' is not known{hint} (valid: {', '.join(known)})")
    if "cuda" in given["device"] and not torch.cuda.is_available():
        raise ConfigError("device: 'cuda' is not to be had: torch sees no GPU; use device=cpu")


def _compiled(mode: str, device: str, say: Callable[[str], None]) -> bool:
    try:
        compiled, how = resolve_compile(mode, device)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    say(how)
    return compiled


def _allocator(name: str, device: str, say: Callable[[str], None]) -> str:
    """What all processes will use, decided once."""
    if device == "cpu" and name == "pages" and (reason := page_pool.why_not()) is not None:
        say(f"memory: the C library's, not a pool of pages: {reason}")
        return "system"
    return name


def _sized(shape: Shape, batch: int | None) -> Shape:
    return shape if batch is None else replace(shape, batch=batch)
