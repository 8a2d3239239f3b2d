"""Times calls that take turns: on a GPU between events, on a CPU by the wall clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import torch

# Several times the L2 cache of a Hopper GPU.
_FLUSH_BYTES = 256 * 2**20


class Clock:
    """Counts rounds in which every contender is called once.

    Args:
        device: ``cuda`` or ``cpu``.
        rounds: how many are timed; one more comes first and is not.
    """

    def __init__(self, device: str, rounds: int) -> None:
        self.device = device
        self._rounds = rounds
        size = _FLUSH_BYTES if device == "cuda" else 1
        self._flush = torch.zeros(size, dtype=torch.uint8, device=device)

    def rounds(self, calls: Mapping[str, Callable[[], Any]]) -> dict[str, list[float]]:
        """Milliseconds of each call in each round."""
        times: dict[str, list[float]] = {name: [] for name in calls}
        for round_ in range(self._rounds + 1):
            for name, call in calls.items():
                time = self._once(call)
                if round_:
                    times[name].append(time)
        return times

    def _once(self, call: Callable[[], Any]) -> float:
        self._flush.zero_()
        if self.device != "cuda":
            begin = perf_counter()
            call()
            return (perf_counter() - begin) * 1e3
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end))
