"""``datasets``: a source is streamed, shuffled in a buffer, tokenised and packed by ``map``.

Written as its users write it, with the choices that were fastest for it: lines are parsed by the
standard library instead of the JSON builder (which stops at rows of changing schema), and a batch
of ``map`` holds about as much text whatever the source, since one of 100 books takes half a minute.
Samples are packed within a source, so that the probabilities are shares of tokens.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.data.contender import Contender, Resumed
from benchmarks.data.measure import deliver
from benchmarks.data.task import BATCH, LLAMA, SAMPLE, Task

CHARS_AT_ONCE = 400_000
BUFFER = 1000


class HuggingFace(Contender):
    name = "datasets"
    kind = "text"
    needs = "datasets"

    def open(self, task: Task) -> Iterable[Any]:
        return _loader(task, mixture(task))

    def look(self, batch: Any) -> tuple[Tensor, Any]:
        return batch["tokens"], batch["source"]

    def resume(self, task: Task) -> Resumed:
        dataset = mixture(task)
        deliver(_loader(task, dataset), task.counted)
        state = dataset.state_dict()
        begin = perf_counter()
        again = mixture(task)
        again.load_state_dict(state)
        next(iter(_loader(task, again)))
        note = f"at sample {task.counted}: reads the file up to there; loses what was in the buffer"
        return Resumed(perf_counter() - begin, note)


def _loader(task: Task, dataset: Any) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(
        dataset,
        batch_size=BATCH,
        num_workers=task.workers,
        collate_fn=_collate,
        worker_init_fn=_one_thread if task.workers else None,
    )


def _collate(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Whole rows to tensors; ``with_format("torch")`` makes a tensor of every token first."""
    tokens = np.asarray([row["tokens"] for row in rows])
    return {
        "tokens": torch.from_numpy(tokens),
        "source": torch.tensor([row["source"] for row in rows]),
    }


def mixture(task: Task) -> Any:
    from datasets import interleave_datasets

    return interleave_datasets(
        [packed(task, name, index) for index, name in enumerate(LLAMA)],
        probabilities=list(LLAMA.values()),
        seed=1,
        stopping_strategy="all_exhausted",
    )


def packed(task: Task, name: str, index: int) -> Any:
    """Samples of one source, with its index beside each."""
    from datasets import load_dataset

    files = [file.location for file in task.sources()[name].files]
    lines = load_dataset("text", data_files=files, split="train", streaming=True)
    pack = _Packing(task, index)
    return lines.shuffle(seed=1, buffer_size=BUFFER).map(
        pack, batched=True, batch_size=_documents_at_once(task, name), remove_columns=["text"]
    )


class _Packing:
    """Lines to whole samples; what is left at the end of a batch is dropped."""

    def __init__(self, task: Task, index: int) -> None:
        self._tokenizer = task.load_tokenizer()
        self._index = index

    def __call__(self, rows: dict[str, list[str]]) -> dict[str, Any]:
        texts = [json.loads(line)["text"] for line in rows["text"]]
        end = [self._tokenizer.eos_id]
        ids = [np.asarray(each + end) for each in self._tokenizer.encode_batch(texts)]
        tokens = np.concatenate(ids)
        whole = tokens[: len(tokens) // SAMPLE * SAMPLE].reshape(-1, SAMPLE)
        return {"tokens": list(whole), "source": [self._index] * len(whole)}


def _one_thread(worker: int) -> None:
    """Threads of the tokenizer do not survive a fork: without this a worker waits for ever."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _documents_at_once(task: Task, name: str) -> int:
    sizes = [len(text) for text in islice(task.texts(name), 100)]
    return min(max(round(CHARS_AT_ONCE * len(sizes) / sum(sizes)), 1), 1000)
