"""The training loader: an endless iterable that always starts at the trained position.

It has no length and no state of its own, since lightning would save that state one batch too late.
The position lives in the data module; the loader notes the cursor of each batch in a ledger and
hands on nothing but the tensors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from bitnet.data.cursor import SourceCursors
from bitnet.data.errors import DataError
from bitnet.data.feed import FedBatch, FeedPlan, MixtureFeed
from bitnet.data.ledger import CursorLedger

Batch = dict[str, Tensor]
"""`tokens`: int32 `[B, T+1]`; `source`: uint8 `[B]`."""


class MixtureDataset(IterableDataset[FedBatch | DataError]):
    """The batches of one rank, divided among DataLoader workers.

    An error of the data is yielded in place of a batch, so that the main process can raise it as it
    was, without the stack of the worker around it.
    """

    def __init__(self, plan: FeedPlan, first: int, cursors: Mapping[int, SourceCursors]) -> None:
        """Start at batch `first` of this rank."""
        super().__init__()
        self._plan = plan
        self._first = first
        self._cursors = cursors

    def __iter__(self) -> Iterator[FedBatch | DataError]:
        """Yield every `num_workers`-th batch from this worker's first one."""
        worker = get_worker_info()
        place, step = (worker.id, worker.num_workers) if worker else (0, 1)
        try:
            yield from MixtureFeed(self._plan, self._first + place, step, self._cursors)
        except DataError as error:
            yield error


class TrainLoader:
    """Endless loader of one rank; iterating it starts over at the position it was made for."""

    def __init__(self, plan: FeedPlan, first: int, ledger: CursorLedger) -> None:
        """Start at batch `first`; `ledger` knows its cursors and notes those of later batches."""
        plan.check_division()
        self._plan = plan
        self._first = first
        self._ledger = ledger

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches for ever.

        Raises:
            DataError: the data cannot be read on.
        """
        dataset = MixtureDataset(self._plan, self._first, self._ledger.rewind(self._first))
        workers = self._plan.stream.workers
        loader: DataLoader[FedBatch | DataError] = DataLoader(
            dataset,
            batch_size=None,
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_prepare_worker if workers else None,
        )
        for item in loader:
            if isinstance(item, DataError):
                raise item
            self._ledger.record(item)
            yield {"tokens": item.tokens, "source": item.source}


def _prepare_worker(worker: int) -> None:
    """Keep a worker to one core: the ranks and workers share the machine."""
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
