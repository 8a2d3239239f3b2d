"""litdata as litgpt uses it: ``optimize`` for a ``TokensLoader``, then a combined dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from benchmarks.data.contender import Contender, Resumed
from benchmarks.data.measure import deliver
from benchmarks.data.packing import encoded
from benchmarks.data.task import BATCH, LLAMA, SAMPLE, Task

CHUNK_TOKENS = SAMPLE * 8192


class LitData(Contender):
    name = "litdata"
    needs = "litdata"

    def prepare(self, task: Task) -> int:
        from litdata import TokensLoader, optimize

        for name in LLAMA:
            optimize(
                fn=partial(_encode, task),
                inputs=[name],
                output_dir=str(task.own_folder() / name),
                chunk_size=CHUNK_TOKENS,
                item_loader=TokensLoader(),
                num_workers=1,
                verbose=False,
            )
        return sum(int(each["dim"]) for name in LLAMA for each in _chunks(task, name))

    def open(self, task: Task) -> Iterable[Any]:
        from litdata import CombinedStreamingDataset, StreamingDataLoader

        parts = [_source(task, name, index) for index, name in enumerate(LLAMA)]
        combined = CombinedStreamingDataset(
            parts, seed=1, weights=list(LLAMA.values()), iterate_over_all=False
        )
        return StreamingDataLoader(combined, batch_size=BATCH, num_workers=task.workers)

    def look(self, batch: Any) -> tuple[Tensor, Any]:
        return (batch["tokens"], batch["source"]) if isinstance(batch, dict) else (batch, None)

    def resume(self, task: Task) -> Resumed:
        longest = _samples_of_a_pass(task)
        if longest >= task.samples:
            return Resumed(None, "not tried on so much text")
        at = min(task.counted, longest // 2)
        loader: Any = self.open(task)
        deliver(loader, at)
        state = loader.state_dict()
        begin = perf_counter()
        again: Any = self.open(task)
        again.load_state_dict(state)
        next(iter(again))
        note = f"at sample {at}: a run ends with its first exhausted source, about {longest}"
        return Resumed(perf_counter() - begin, note)


def _encode(task: Task, name: str) -> Iterator[Tensor]:
    for tokens in encoded(task, name):
        yield torch.from_numpy(tokens)


def _chunks(task: Task, name: str) -> list[dict[str, Any]]:
    import json

    index = task.own_folder() / name / "index.json"
    chunks: list[dict[str, Any]] = json.loads(index.read_text())["chunks"]
    return chunks


def _samples_of_a_pass(task: Task) -> int:
    sizes = {n: sum(int(each["dim"]) for each in _chunks(task, n)) // SAMPLE for n in LLAMA}
    return min(int(sizes[name] / weight) for name, weight in LLAMA.items())


def _source(task: Task, name: str, index: int) -> Any:
    from litdata import StreamingDataset, TokensLoader

    tag = partial(_tagged, index) if task.tagged else None
    return StreamingDataset(
        str(task.own_folder() / name),
        item_loader=TokensLoader(block_size=SAMPLE),
        shuffle=True,
        drop_last=True,
        seed=1,
        transform=tag,
    )


def _tagged(index: int, tokens: Tensor) -> dict[str, Any]:
    return {"tokens": tokens, "source": index}
