"""Times a loader, in the process of the contender alone."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic, perf_counter
from typing import Any

import torch

from benchmarks.data.contender import Contender
from benchmarks.data.task import BATCH, LLAMA, SAMPLE, Task

_TOKENS_OF_BATCH = BATCH * SAMPLE


def check(contender: Contender, batch: Any, vocab_size: int) -> None:
    """Refuse to time something else than what was asked for."""
    tokens, _ = contender.look(batch)
    if tokens.shape != (BATCH, SAMPLE):
        raise AssertionError(f"{contender.name}: batch of shape {tuple(tokens.shape)}")
    if tokens.dtype not in (torch.int32, torch.int64):
        raise AssertionError(f"{contender.name}: an embedding does not take {tokens.dtype}")
    if tokens.min() < 0 or tokens.max() >= vocab_size:
        raise AssertionError(f"{contender.name}: tokens outside of the vocabulary")


def measure(contender: Contender, task: Task, vocab_size: int) -> dict[str, Any]:
    """Open the loader and take batches; its speed leaves the first batch of each pass out.

    A finite loader is iterated again, and the time from the end of one pass to the first batch of
    the next is left out too: it is no property of the steady state. `settled` is the speed of the
    second half of the first pass: a feed that tokenises fills its queues in the first, one for
    each source (and stream), which costs more the shorter the measurement is.
    """
    begin = perf_counter()
    loader = contender.open(task)
    spent, batches, first, settled = 0.0, 0, None, 0
    while (batches * _TOKENS_OF_BATCH < task.tokens) or spent < task.seconds:
        iterator = iter(loader)
        batch = next(iterator)
        if first is None:
            first, first_at = perf_counter() - begin, monotonic()
            check(contender, batch, vocab_size)
        enough = max(task.tokens - batches * _TOKENS_OF_BATCH, 0)
        begun, begun_in = _timed(iterator, enough // 2, 0.0)
        count, seconds = _timed(iterator, enough - enough // 2, task.seconds - spent - begun_in)
        spent, batches = spent + begun_in + seconds, batches + begun + count
        if not begun:
            raise AssertionError(f"{contender.name}: a pass of one batch cannot be timed")
        settled = settled or round(count * _TOKENS_OF_BATCH / seconds)
    halves = {"settled_tokens_per_second": settled} if contender.kind == "text" else {}
    return {
        "tokens_per_second": round(batches * _TOKENS_OF_BATCH / spent),
        **halves,
        "first_batch_seconds": round(first or 0.0, 3),
        "first_batch_at": first_at,
        "batches": batches,
    }


def _timed(iterator: Iterator[Any], tokens: int, seconds: float) -> tuple[int, float]:
    """Batches taken until both are reached or the pass ends, and the time they took."""
    count = 0
    begin = perf_counter()
    for _ in iterator:
        count += 1
        if count * _TOKENS_OF_BATCH >= tokens and perf_counter() - begin >= seconds:
            break
    return count, perf_counter() - begin


def shares(contender: Contender, task: Task) -> dict[str, Any]:
    """How far the shares of the first samples are from the weights, at most."""
    counts = torch.zeros(len(LLAMA), dtype=torch.int64)
    taken = 0
    for batch in contender.open(task):
        sources = torch.as_tensor(contender.look(batch)[1]).long()
        counts += torch.bincount(sources, minlength=len(LLAMA))
        taken += len(sources)
        if taken >= task.counted:
            break
    wanted = torch.tensor(list(LLAMA.values()), dtype=torch.float64)
    error = (counts / taken - wanted).abs().max()
    return {"share_error": round(float(error), 5), "share_samples": taken}


def deliver(loader: Any, samples: int) -> None:
    """Take the batches of so many samples."""
    iterator = iter(loader)
    for _ in range(samples // BATCH):
        next(iterator)
