"""MosaicML streaming: MDS shards, one ``Stream(proportion=...)`` a source.

The package imports its image classes first, which need torchvision of the very build of torch;
tokens don't. So its packages are entered by the side door, and nothing of it is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.data.contender import Contender, Resumed
from benchmarks.data.packing import samples
from benchmarks.data.task import BATCH, LLAMA, SAMPLE, Task

EPOCH = 100_000
"""Samples that are drawn and shuffled at once. Proportions are exact over all of them only."""


def streaming_base() -> Any:
    """The module `streaming.base`."""
    if "streaming" not in sys.modules:
        spec = find_spec("streaming")
        assert spec is not None and spec.submodule_search_locations is not None
        package = ModuleType("streaming")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["streaming"] = package
    import streaming.base

    return streaming.base


class Mosaic(Contender):
    name = "mosaicml-streaming"
    needs = "streaming"

    def load(self) -> None:
        streaming_base()

    def prepare(self, task: Task) -> int:
        dtype = "uint16" if task.load_tokenizer().vocab_size <= 1 << 16 else "uint32"
        columns = {"tokens": f"ndarray:{dtype}:{SAMPLE}"}
        total = 0
        for name in LLAMA:
            folder = str(task.own_folder() / name)
            with streaming_base().MDSWriter(out=folder, columns=columns) as writer:
                for sample in samples(task, name):
                    writer.write({"tokens": sample.astype(dtype)})
                    total += SAMPLE
        return total

    def open(self, task: Task) -> Iterable[Any]:
        return _loader(task, _dataset(task, EPOCH))

    def look(self, batch: Any) -> tuple[Tensor, Any]:
        return (batch["tokens"], batch["source"]) if isinstance(batch, dict) else (batch, None)

    def resume(self, task: Task) -> Resumed:
        state = {
            "epoch": 0,
            "sample_in_epoch": task.samples,
            "num_canonical_nodes": 1,
            "shuffle_seed": 1,
            "initial_physical_nodes": 1,
        }
        begin = perf_counter()
        dataset = _dataset(task, 2 * task.samples)
        dataset.load_state_dict(state)
        next(iter(_loader(task, dataset)))
        return Resumed(perf_counter() - begin)


def _loader(task: Task, dataset: Any) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(dataset, batch_size=BATCH, num_workers=task.workers)


def _dataset(task: Task, epoch: int) -> Any:
    base = streaming_base()
    base.util.clean_stale_shared_memory()
    streams = [
        base.Stream(local=str(task.own_folder() / name), proportion=weight)
        for name, weight in LLAMA.items()
    ]
    return _dataset_class(task.tagged)(
        streams=streams,
        batch_size=BATCH,
        shuffle=True,
        shuffle_seed=1,
        num_canonical_nodes=1,
        epoch_size=epoch,
    )


def _dataset_class(tagged: bool) -> Any:
    class Tokens(streaming_base().StreamingDataset):  # type: ignore[misc]
        """Shards are unsigned; an embedding takes signed integers."""

        def get_item(self, sample_id: int, *rest: Any) -> Any:
            tokens = super().get_item(sample_id, *rest)["tokens"]
            delivered = torch.from_numpy(tokens.astype(np.int32))
            if not tagged:
                return delivered
            shard, _ = self.spanner[sample_id]
            return {"tokens": delivered, "source": int(self.stream_per_shard[shard])}

    return Tokens
