"""Which way makes a product: measured once for a shape, remembered in the process and on disk.

The first product of a shape runs every way a few times, on the very operands it was called with,
and waits for the device to know how long they took. That is a fraction of a second, and some
seconds where Triton has to compile. After that a choice is one look into a dictionary and never
waits. Rows are counted in powers of two, so a batch a little larger is no new shape.

Nothing is measured while a CUDA graph is captured: what is not known then takes the first way, and
is measured at the next chance. As all ways give the same bits (see ``ways.py``), ranks need not
agree on a choice, and a choice cannot change a run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import torch
from torch import Tensor

from bitnet.quant.engines.cuda import ledger
from bitnet.quant.engines.cuda.ledger import Entry
from bitnet.quant.engines.cuda.operands import Operands
from bitnet.quant.engines.cuda.stopwatch import times_of
from bitnet.quant.engines.cuda.ways import LIBRARY, Way, device_facts, ways_for

_log = logging.getLogger(__name__)


class Machine(NamedTuple):
    """What a device is, as far as products are concerned."""

    capability: tuple[int, int]
    processors: int
    key: str


def shape_key(m: int, n: int, depths: Sequence[int], dtype: torch.dtype) -> str:
    """Such as ``8192 x 1536 x 4096+4096 bfloat16``: rows up to a power of two, N, Ks, dtype."""
    depth = "+".join(map(str, depths))
    return f"{1 << (m - 1).bit_length()} x {n} x {depth} {str(dtype).removeprefix('torch.')}"


class Chooser:
    """Finds the fastest way for a shape on one kind of device.

    Args:
        machine: the device.
        path: of the file that remembers across processes; none keeps it to this process.
        measure: gives the milliseconds of each way that works.
    """

    def __init__(
        self,
        machine: Machine,
        path: Path | None,
        measure: Callable[[dict[str, Way], Operands], dict[str, float]] = times_of,
    ) -> None:
        self.machine = machine
        self._path = path
        self._measure = measure
        self._lock = Lock()
        self._ways: dict[str, Way] = {}
        self._entries: dict[str, Entry] | None = None

    def __call__(self, operands: Operands) -> Tensor:
        """The product of the operands, by the way that is fastest for their shape."""
        key = shape_key(operands.m, operands.n, operands.depths, operands.dtype)
        way = self._ways.get(key)
        return (way or self._first(key, operands))(operands)

    def describe(self, m: int, n: int, depths: Sequence[int], dtype: torch.dtype) -> str:
        """What is taken for a shape and what was measured, in one line."""
        key = shape_key(m, n, depths, dtype)
        entry = self._known().get(key)
        return _line(key, entry) if entry else f"int8 product {key}: measured at its first use"

    def _first(self, key: str, operands: Operands) -> Way:
        ways = ways_for(operands, self.machine.capability, self.machine.processors)
        if operands.device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            return next(iter(ways.values()))
        with self._lock:
            if key not in self._ways:
                self._ways[key] = ways[self._choice(key, ways, operands)]
            return self._ways[key]

    def _choice(self, key: str, ways: dict[str, Way], operands: Operands) -> str:
        known = self._known().get(key)
        if known is not None and known.way in ways:
            _log.info("%s (measured before)", _line(key, known))
            return known.way
        entry = self._measured(ways, operands)
        self._known()[key] = entry
        if self._path is not None:
            ledger.record(self._path, self.machine.key, key, entry)
        _log.info("%s (measured now)", _line(key, entry))
        return entry.way

    def _measured(self, ways: dict[str, Way], operands: Operands) -> Entry:
        with torch.cuda.device_of(operands.parts[0].x_codes):
            times = self._measure(ways, operands)
        if not times:
            raise RuntimeError(
                f"no int8 product works on this device for {operands.m} rows, {operands.n} columns "
                f"and a depth of {operands.depths}"
            )
        return Entry(min(times, key=times.__getitem__), times)

    def _known(self) -> dict[str, Entry]:
        if self._entries is None:
            path = self._path
            self._entries = {} if path is None else ledger.read(path, self.machine.key)
        return self._entries


def _line(key: str, entry: Entry) -> str:
    """What was picked, and how it compares with the library."""
    names = [name for name in dict.fromkeys((entry.way, LIBRARY)) if name in entry.milliseconds]
    told = ", ".join(f"{name} {entry.milliseconds[name]:.3f} ms" for name in names)
    return f"int8 product {key}: {told or entry.way}"


@cache
def chooser_for(device: torch.device) -> Chooser:
    """The process's chooser for a CUDA device; devices of one kind share it."""
    capability, processors, name = device_facts(device)
    if name not in _choosers:
        machine = Machine(capability, processors, ledger.machine_key(name))
        _choosers[name] = Chooser(machine, ledger.ledger_path())
    return _choosers[name]


_choosers: dict[str, Chooser] = {}
