"""One contender being trained: its model, its optimizer, a batch, and the step that is timed."""

from __future__ import annotations

from time import perf_counter

import torch

from benchmarks.train.contender import Contender
from benchmarks.train.task import Task


class Training:
    """A step is forward, backward, a fused AdamW update, and the requantisation it causes.

    Args:
        contender: what is trained.
        task: where, and at which shape.
        compiled: whether blocks and head are compiled.
    """

    def __init__(self, contender: Contender, task: Task, compiled: bool) -> None:
        torch.manual_seed(0)
        self.model = contender.build(task)
        if compiled:
            self.model.compile_blocks(task.compile_mode)
        # A rate so small that the model stays what it was at the start, whatever the rounds.
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, fused=True)
        generator = torch.Generator().manual_seed(1)
        size = (task.shape.batch, task.shape.length + 1)
        self.tokens = torch.randint(task.shape.vocab, size, generator=generator).to(task.device)
        self.loss = torch.zeros(())

    def step(self) -> float:
        """Take one step; seconds it took.

        Raises:
            RuntimeError: the loss is no number any more: what was timed is not training.
        """
        self._wait()
        start = perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        loss, _ = self.model.loss(self.tokens[:, :-1], self.tokens[:, 1:])
        loss.backward()
        self.optimizer.step()
        self.model.refresh_codes()
        self._wait()
        seconds = perf_counter() - start
        self.loss = loss.detach()
        if not torch.isfinite(self.loss):
            raise RuntimeError(f"the loss became {self.loss.item()}")
        return seconds

    def held(self) -> list[torch.Tensor]:
        """What stays from step to step."""
        states = (value for state in self.optimizer.state.values() for value in state.values())
        moments = [value for value in states if isinstance(value, torch.Tensor)]
        return [*self.model.parameters(), *self.model.buffers(), *moments]

    def _wait(self) -> None:
        if self.tokens.is_cuda:
            torch.cuda.synchronize()


def warm_up(device: str, compiled: bool) -> None:
    """Train something else for a moment, so that libraries and the compiler are loaded.

    What they take is in memory before anything is measured then.
    """

    def product(x: torch.Tensor) -> torch.Tensor:
        return (x @ x).relu().sum()

    work = torch.compile(product) if compiled else product
    for dtype in (torch.float32, torch.bfloat16):
        work(torch.ones(16, 16, device=device, dtype=dtype, requires_grad=True)).backward()
