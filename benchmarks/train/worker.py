"""The process of one contender: it steps when told to, and answers with one line of JSON.

Run by `runner`. A contender has a process of its own so that memory is its own, and so that a peer
that fails, or that changes what is imported, touches nobody else. It waits between steps without
using the machine.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.train import memory
from benchmarks.train.contender import Contender
from benchmarks.train.roster import CONTENDERS
from benchmarks.train.task import Task
from benchmarks.train.training import Training, warm_up
from bitnet.native import page_pool
from bitnet.quant import EngineUnavailableError

_WARM_STEPS = 2


class Worker:
    """A contender between its first step and its last.

    Args:
        task: what to train.
        contender: who; by default who the task names.
    """

    def __init__(self, task: Task, contender: Contender | None = None) -> None:
        self.task = task
        self.contender = contender or CONTENDERS[task.contender]
        self.training: Training | None = None

    def start(self) -> dict[str, Any]:
        """Build, take the first steps, and tell what they took.

        Returns:
            ``compiled``, ``compile_seconds`` (the first step, less a later one), ``peak_bytes``
            (of steps after the first, less what was there before the model), ``tensor_bytes`` (the
            part of it that is tensors), ``free_bytes`` of the device now, ``page_faults`` of one
            step, ``loss`` of the first step, and ``note``.
        """
        allocator = self.contender.cpu_allocator or self.task.cpu_allocator
        if self.task.device == "cpu" and allocator == "pages":
            page_pool.use_pages()
        self.contender.load(self.task)
        compiled = self.task.compiled and self.contender.compiles
        warm_up(self.task.device, compiled)
        before = memory.resident(self.task.device)
        first, loss, note = self._first_step(compiled)
        memory.forget_peak(self.task.device)
        faults = memory.page_faults()
        later = min(self.step()["seconds"] for _ in range(_WARM_STEPS))
        peak = memory.peak(self.task.device) - before
        faults = (memory.page_faults() - faults) // _WARM_STEPS
        return {
            "compiled": compiled and not note,
            "compile_seconds": max(first - later, 0.0),
            "peak_bytes": peak,
            "tensor_bytes": self._tensor_peak(),
            "free_bytes": memory.free(self.task.device),
            "page_faults": faults,
            "loss": loss,
            "note": "; ".join(filter(None, (note, self.contender.note))),
        }

    def step(self) -> dict[str, Any]:
        """One step, timed."""
        assert self.training is not None
        return {"seconds": self.training.step()}

    def _tensor_peak(self) -> int:
        assert self.training is not None
        self.training.optimizer.zero_grad(set_to_none=True)
        return memory.tensor_peak(self.task.device, self.training.held(), self.step)

    def _first_step(self, compiled: bool) -> tuple[float, float, str]:
        """Seconds and loss of the first step, and why it is not compiled if it should have been."""
        note = ""
        try:
            seconds = self._begin(compiled)
        except Exception as error:
            if not compiled or self.contender.kind != "peer":
                raise
            note = f"eager, since torch.compile fails on it ({brief(error)})"
        if note:  # outside of `except`, which would keep the failed model alive
            torch._dynamo.reset()
            gc.collect()
            seconds = self._begin(False)
        assert self.training is not None
        return seconds, float(self.training.loss), note

    def _begin(self, compiled: bool) -> float:
        self.training = None
        self.training = Training(self.contender, self.task, compiled)
        return self.training.step()


def brief(error: BaseException) -> str:
    """An error in one line of at most 160 characters."""
    if isinstance(error, EngineUnavailableError):
        return f"not available: {error}"
    if isinstance(error, torch.OutOfMemoryError):
        return "out of memory"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no word"]
    # A ValueError is ours and written to be read; others need their name to make sense.
    text = lines[0] if type(error) is ValueError else f"{type(error).__name__}: {lines[0]}"
    return text if len(text) <= 160 else f"{text[:157]}..."


def serve(worker: Worker, commands: Any, answer: Callable[[str], object]) -> None:
    """Do what each line says until there are no more; an error is an answer too."""
    verbs = {"start": worker.start, "step": worker.step}
    for line in commands:
        try:
            said = verbs[line.strip()]()
        except Exception as error:
            said = {"error": brief(error)}
        answer(json.dumps(said) + "\n")


def main() -> None:
    # What libraries print goes to stderr; the pipe to the parent is for answers alone.
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    task = Task.from_json(sys.argv[1])
    if task.threads:
        torch.set_num_threads(task.threads)
    serve(Worker(task), sys.stdin, channel.write)
    channel.flush()
    os._exit(0)  # compilers may leave threads that would never end


if __name__ == "__main__":
    main()
