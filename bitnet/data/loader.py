"""The training loader: an endless iterable that always starts at the trained position.

It has no length and no state of its own, since lightning would save that state one batch too late.
The position lives in the data module. An error of the data ends a run of one process at once; among
several ranks it travels as a batch of its own, so that all of them can stop at the same step.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from bitnet.data.errors import DataError

Batch = dict[str, Any]
"""`tokens`: int32 `[B, T+1]`; `source`: uint8 `[B]`; `failure`: a message, instead of data."""

Item = TypeVar("Item", covariant=True)


class Batches(Protocol[Item]):
    """What a feed gives to a worker: an endless sequence of every `step`-th batch."""

    def __call__(self, first: int, step: int) -> Iterator[Item]:
        """Batches `first`, `first + step`, … of this rank."""
        ...


class WorkerDataset(IterableDataset[Any]):
    """The batches of one rank, divided among DataLoader workers.

    An error of the data is yielded in place of a batch, so that the main process can raise it as it
    was, without the stack of the worker around it.
    """

    def __init__(self, batches: Batches[Any], first: int) -> None:
        """Start at batch `first` of this rank."""
        super().__init__()
        self._batches = batches
        self._first = first

    def __iter__(self) -> Iterator[Any]:
        """Yield every `num_workers`-th batch from this worker's first one."""
        worker = get_worker_info()
        place, step = (worker.id, worker.num_workers) if worker else (0, 1)
        fault = DataError  # a generator that is alive at the interpreter's end has no globals
        try:
            yield from self._batches(self._first + place, step)
        except fault as error:
            yield error


class TrainLoader:
    """Endless loader of one rank; iterating it starts over at the position it was made for."""

    def __init__(
        self,
        batches: Callable[[], Batches[Any]],
        first: int,
        workers: int,
        world: int,
        unpack: Callable[[Any], Iterable[Batch]],
    ) -> None:
        """Start at batch `first`.

        Args:
            batches: makes the feed; called at each iteration, in this process.
            first: number of the first batch of this rank.
            workers: worker processes; 0 reads in this one.
            world: number of ranks, which decides how an error of the data is told.
            unpack: from an item of the feed to batches of the training loop, in this process.
        """
        self._feed = batches
        self._first = first
        self._workers = workers
        self._world = world
        self._unpack = unpack

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches for ever.

        Raises:
            DataError: the data cannot be read on, and there is one rank.
        """
        like: Batch = {}
        for item in self._items():
            if isinstance(item, DataError):
                if self._world == 1:
                    raise item
                yield from _failing(item, like)
            for like in self._unpack(item):
                yield like

    def _items(self) -> Iterator[Any]:
        """What the feed yields, in order; without workers nothing stands in between."""
        dataset, on_gpu = WorkerDataset(self._feed(), self._first), torch.cuda.is_available()
        if not self._workers:
            # Pinned memory makes the copy to the GPU asynchronous.
            return (pinned(item) for item in dataset) if on_gpu else iter(dataset)
        loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_size=None,
            num_workers=self._workers,
            pin_memory=on_gpu,
            worker_init_fn=_prepare_worker,
        )
        return iter(loader)


def pinned(item: Any) -> Any:
    """The same item with its tensors in page-locked memory, as a DataLoader would make it."""
    if isinstance(item, Mapping):
        return {name: pinned(value) for name, value in item.items()}
    return item.pin_memory() if hasattr(item, "pin_memory") else item


def _failing(error: DataError, like: Batch) -> Iterator[Batch]:
    """The same failure for ever: other ranks may still be on their way to this step."""
    shaped = {name: value for name, value in like.items() if isinstance(value, Tensor)}
    while True:
        yield {**shaped, "failure": str(error)}


def _prepare_worker(worker: int) -> None:
    """Keep a worker to one core: the ranks and workers share the machine.

    What the parent had made is left out of garbage collection, which would go through all of it
    again and again as records come and go.
    """
    gc.freeze()
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
