"""Worker processes that take jobs one by one, tell how far they are, and can be stopped at once.

`concurrent.futures` can neither stop a job that runs nor hear from it. Here each worker has a pipe:
jobs go in, steps and results come out, and a worker whose parent has died finds the pipe broken.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from bitnet.data.errors import DataError

J = TypeVar("J")
S = TypeVar("S")
R = TypeVar("R")

_STEP, _DONE, _REFUSED, _FAILED = range(4)


class Pool(Generic[J, S, R]):
    """Runs `work(job, report)` on jobs in so many processes; 0 runs them in this one."""

    def __init__(
        self,
        work: Callable[[J, Callable[[S], None]], R],
        workers: int,
        on_step: Callable[[S], None],
        on_done: Callable[[R], None],
    ) -> None:
        """Nothing is started before `run`; the callbacks are called in this process."""
        self._work = work
        self._workers = workers
        self._on_step = on_step
        self._on_done = on_done
        self._busy: dict[Connection, BaseProcess] = {}

    def run(self, jobs: Iterable[J]) -> None:
        """Do all jobs, started in their order; any exception stops the workers at once.

        Raises:
            DataError: a job raised it, or a worker was killed.
            RuntimeError: a job raised something else; the message holds its stack trace.
        """
        if self._workers == 0:
            for job in jobs:
                self._on_done(self._work(job, self._on_step))
            return
        queue = iter(jobs)
        try:
            for job in islice(queue, self._workers):
                self._start().send(job)
            while self._busy:
                for ready in wait(list(self._busy)):
                    assert isinstance(ready, Connection)
                    self._receive(ready, queue)
        finally:
            self._stop()

    def _start(self) -> Connection:
        """A new worker's end of the pipe."""
        context = multiprocessing.get_context("spawn")  # threads of the tokenizer survive no fork
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(there, self._work), daemon=True)
        with _interrupts_ignored():
            process.start()
        there.close()
        self._busy[here] = process
        return here

    def _receive(self, ready: Connection, queue: Iterator[J]) -> None:
        try:
            kind, value = ready.recv()
        except EOFError as error:
            process = self._busy[ready]
            process.join()
            raise DataError(
                f"workers: a worker process died (exit code {process.exitcode}); if the system "
                "killed it for its memory, use fewer workers"
            ) from error
        if kind == _STEP:
            self._on_step(value)
        elif kind == _REFUSED:
            raise DataError(value)
        elif kind == _FAILED:
            raise RuntimeError(f"a worker process failed:\n{value}")
        else:
            self._on_done(value)
            self._go_on(ready, queue)

    def _go_on(self, ready: Connection, queue: Iterator[J]) -> None:
        """Give an idle worker its next job, or let it end."""
        job = next(queue, None)
        if job is not None:
            ready.send(job)
            return
        process = self._busy.pop(ready)
        ready.close()
        process.join()

    def _stop(self) -> None:
        """End the workers that are left, whatever they are doing."""
        for process in self._busy.values():
            process.terminate()
        for pipe, process in self._busy.items():
            process.join()
            pipe.close()
        self._busy.clear()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started here never see Ctrl-C, which is the parent's business."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(pipe: Connection, work: Callable[[Any, Callable[[Any], None]], Any]) -> None:
    """A worker: do jobs until the pipe ends."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the workers share the cores already
    try:
        while True:
            pipe.send(_answer(pipe.recv(), pipe, work))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _answer(
    job: object, pipe: Connection, work: Callable[[Any, Callable[[Any], None]], Any]
) -> tuple[int, object]:
    try:
        return _DONE, work(job, lambda step: pipe.send((_STEP, step)))
    except DataError as error:
        return _REFUSED, str(error)
    except BrokenPipeError:
        raise  # the parent is gone: there is nobody to tell
    except Exception:
        return _FAILED, traceback.format_exc()
