"""Grain: ``MapDataset.mix`` over windows of memory-mapped token files.

Grain brings no writer; the files are plain arrays of tokens, as its users make them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.data.contender import Contender, Resumed
from benchmarks.data.packing import encoded
from benchmarks.data.task import BATCH, LLAMA, SAMPLE, Task

READING = {"num_threads": 4, "prefetch_buffer_size": 64}
"""More than twice as fast here as the default, 16 threads and 500 batches."""


class Grain(Contender):
    name = "grain"
    needs = "grain"

    def prepare(self, task: Task) -> int:
        dtype = np.uint16 if task.load_tokenizer().vocab_size <= 1 << 16 else np.uint32
        task.own_folder().mkdir(parents=True)
        total = 0
        for name in LLAMA:
            with (task.own_folder() / f"{name}.{dtype.__name__}").open("wb") as file:
                for tokens in encoded(task, name):
                    tokens.astype(dtype).tofile(file)
                    total += len(tokens)
        return total

    def open(self, task: Task) -> Iterable[Any]:
        return _pipeline(task)

    def look(self, batch: Any) -> tuple[Tensor, Any]:
        tokens, source = batch if isinstance(batch, tuple) else (batch, None)
        return torch.from_numpy(tokens), source

    def resume(self, task: Task) -> Resumed:
        state = iter(_pipeline(task)).get_state()
        begin = perf_counter()
        iterator = iter(_pipeline(task))
        iterator.set_state({**state, "next_index": task.samples // BATCH})
        next(iterator)
        return Resumed(perf_counter() - begin)


class _Windows:
    """Windows of one file, `[2049]` int32 each."""

    def __init__(self, path: Path) -> None:
        self._tokens = np.memmap(path, dtype=path.suffix[1:], mode="r")

    def __len__(self) -> int:
        return len(self._tokens) // SAMPLE

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        return self._tokens[index * SAMPLE : (index + 1) * SAMPLE].astype(np.int32)


def _pipeline(task: Task) -> Any:
    import grain

    parts = []
    for index, name in enumerate(LLAMA):
        (path,) = task.own_folder().glob(f"{name}.*")
        part = grain.MapDataset.source(_Windows(path)).seed(index).shuffle().repeat()
        parts.append(part.map(partial(_tagged, index)) if task.tagged else part)
    mixed = grain.MapDataset.mix(parts, weights=list(LLAMA.values()))
    batches = mixed.batch(BATCH).to_iter_dataset(grain.ReadOptions(**READING))
    if not task.workers:
        return batches
    return batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=task.workers))


def _tagged(index: int, tokens: NDArray[np.int32]) -> tuple[NDArray[np.int32], int]:
    return tokens, index
