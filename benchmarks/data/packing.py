"""Documents to samples of equal length, for peers whose users write this themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.task import SAMPLE, Task
from bitnet.data.pieces import pieces_of

CHARS_AT_ONCE = 1 << 18


def encoded(task: Task, name: str) -> Iterator[NDArray[np.int32]]:
    """Tokens of one source, an end token after each document, some hundred thousand at a time."""
    tokenizer = task.load_tokenizer()
    for pieces, last in _filled(task.texts(name)):
        ids = tokenizer.encode_batch(pieces)
        for each, ends in zip(ids, last, strict=True):
            if ends:
                each.append(tokenizer.eos_id)
        yield np.concatenate([np.asarray(each, dtype=np.int32) for each in ids])


def samples(task: Task, name: str) -> Iterator[NDArray[np.int32]]:
    """Whole samples of one source, `[2049]`; what is left over at its end is dropped."""
    left = np.empty(0, dtype=np.int32)
    for tokens in encoded(task, name):
        joined = np.concatenate([left, tokens])
        whole = len(joined) // SAMPLE * SAMPLE
        yield from joined[:whole].reshape(-1, SAMPLE)
        left = joined[whole:]


def _filled(texts: Iterable[str]) -> Iterator[tuple[list[str], list[bool]]]:
    """Pieces of documents until there is work for all cores, and which of them end one."""
    pieces: list[str] = []
    last: list[bool] = []
    size = 0
    for text in texts:
        for start, end in pieces_of(text):
            pieces.append(text[start:end])
            last.append(end == len(text))
            size += end - start
            if size >= CHARS_AT_ONCE:
                yield pieces, last
                pieces, last, size = [], [], 0
    if pieces:
        yield pieces, last
