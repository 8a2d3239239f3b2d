"""Runs the jobs of a batch: skips what is done, goes on with what is not, tells how each ended."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bitnet.commands.sweeping.child import (
    command_line,
    environment,
    failure,
    new_job,
    resumed_job,
)
from bitnet.commands.sweeping.devices import dealt_devices, devices_needed, thread_share
from bitnet.commands.sweeping.locks import try_lock
from bitnet.commands.sweeping.pool import Command, Pool
from bitnet.commands.sweeping.result import JobResult
from bitnet.config.schema import TrainerSpec
from bitnet.config.sweeping import ProcessesSpec
from bitnet.runs import RunDirectory, RunError
from bitnet.runs.human import duration
from bitnet.runs.sweep_jobs import DONE, JobNote, clear, final_loss, is_busy, standing

_POLL_SECONDS = 1.0


@dataclass
class Job:
    """One job of a sweep.

    Attributes:
        note: what its folder says about it.
        trainer: what it will run on.
        arguments: of ``bitnet train``, without its folder.
        group: at W&B, where the user named none.
        label: the overrides that tell it from the others.
        folder: where it runs.
        result: how it ended.
        lock: descriptor of the lock on its folder, while it is about to run.
        began: monotonic seconds at its start.
        log_start: size of its log before it.
    """

    note: JobNote
    trainer: TrainerSpec
    arguments: list[str]
    group: str | None
    label: str
    folder: Path = Path()
    result: JobResult | None = None
    lock: int | None = None
    began: float = 0.0
    log_start: int = 0

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / "output.log"

    def end(self, state: str, loss: float = float("nan"), error: str | None = None) -> None:
        """Keep the result, and write it into the folder."""
        self.result = JobResult(loss, state, error)
        self.note = self.note.write(self.folder, state=state, error=error)


def run_jobs(jobs: Sequence[Job], spec: ProcessesSpec) -> list[JobResult]:
    """Run ``jobs`` as ``spec`` says; the result of each, in their order.

    Raises:
        KeyboardInterrupt: told to stop.
    """
    left, announced = list(jobs), set[int]()
    while left:
        for job in left:
            _take_up(job, announced)
        ready = [job for job in left if job.lock is not None]
        try:
            _Batch(ready, spec).run()
        finally:
            for job in ready:
                _release(job)
        left = [job for job in left if job.result is None]
        if left and not ready:
            time.sleep(_POLL_SECONDS)
    return [job.result for job in jobs if job.result is not None]


def _take_up(job: Job, announced: set[int]) -> None:
    """Skip a job that is done, lock one that can start, pass over one that somebody runs."""
    try:
        state = standing(job.folder)
        if state in DONE:
            job.end(state, final_loss(job.folder))
            _say(job, f"is {state} already ({_loss(job)}); skipped")
            return
        busy = is_busy(job.folder)
    except RunError as error:
        job.end("failed", error=str(error))
        _say(job, f"cannot be taken up: {error}")
        return
    job.lock = None if busy else try_lock(job.folder)
    if job.lock is None and job.note.number not in announced:
        announced.add(job.note.number)
        _say(job, "is being run by a process of an earlier launch; waiting for it to end")


@dataclass
class _Batch:
    """Jobs that can start, and what they are started with."""

    jobs: list[Job]
    spec: ProcessesSpec
    dealt: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Run them all."""
        self.dealt = dealt_devices(self.spec)
        alone = self.spec.jobs == 1
        grace = self.spec.grace_seconds
        pool = Pool(self.spec.jobs, self.dealt, grace, alone, self._started, self._ended)
        for job in self.jobs:
            job.note = job.note.write(job.folder, state="waiting", error=None)
        pool.run([self._command(job) for job in self.jobs])

    def _command(self, job: Job) -> Command:
        run = RunDirectory(job.folder)
        if standing(job.folder) == "unfinished" and run.latest_checkpoint() is not None:
            arguments = resumed_job(job.note.overrides, job.folder)
        else:
            clear(job.folder)
            arguments = new_job(job.arguments, job.folder, job.group)
        job.log_start = job.log.stat().st_size if job.log.exists() else 0
        assert job.lock is not None
        return Command(
            arguments=command_line(arguments),
            log=job.log,
            env=environment(thread_share(job.trainer, self.spec.jobs)),
            devices=devices_needed(job.trainer, self.dealt),
            keep_open=(job.lock,),
        )

    def _started(self, index: int, devices: list[str]) -> None:
        job = self.jobs[index]
        _release(job)  # the job holds it now
        before = RunDirectory(job.folder).latest_checkpoint()
        job.note = job.note.write(job.folder, state="running")
        job.began = time.monotonic()
        how = "starts" if before is None else f"goes on from {before.resolve().name}"
        where = f" (GPU {', '.join(devices)})" if devices else ""
        _say(job, f"{how}{where}; output in {job.log}")

    def _ended(self, index: int, code: int) -> None:
        job = self.jobs[index]
        seconds, state = time.monotonic() - job.began, standing(job.folder)
        if code == 0 and state in DONE:
            job.end(state, final_loss(job.folder))
            _say(job, f"{state}: {_loss(job)}, {duration(seconds)}")
            return
        error = failure(code, job.log, job.log_start)
        job.end("interrupted" if code == 130 else "failed", error=error)
        _say(job, f"{job.note.state}: {error}")


def _release(job: Job) -> None:
    if job.lock is not None:
        os.close(job.lock)
        job.lock = None


def _loss(job: Job) -> str:
    return f"val loss {float(job.result):.4f}" if job.result is not None else ""


def _say(job: Job, what: str) -> None:
    label = f" {job.label}" if job.label else ""
    text = f"#{job.folder.name}{label}: {what}"
    Console().print(text, highlight=False, soft_wrap=True, markup=False)
