"""Tokens a second, shares of the peak and memory, measured over log windows and never between.

The device is waited for on log steps only. Time spent waiting for data counts (it is the run's own
fault); validation, samples and checkpoints do not.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter
from typing import Any

import torch
from lightning import LightningModule, Trainer

from bitnet.training.module import PretrainingModule
from bitnet.training.peak import Peak
from bitnet.training.step_callback import StepCallback


class Throughput(StepCallback):
    """Lays speed and memory into the row of each log step.

    Args:
        every_tokens: the cadence of log steps.
        flops_per_token: arithmetic of one token, forward and backward.
        peak: what one device can do; shares of it are left out where that is unknown.
        eight_bit: how much of that arithmetic is done in 8 bits, asked on every log step, because
            quantisation may set in during the run.
    """

    def __init__(
        self,
        every_tokens: int,
        flops_per_token: float,
        peak: Peak,
        eight_bit: Callable[[], float] = float,
    ) -> None:
        self.every_tokens = every_tokens
        self.flops_per_token = flops_per_token
        self.peak = peak
        self.eight_bit = eight_bit
        self._start = self._since = perf_counter()
        self._step = 0
        self._paused = 0.0
        self._elapsed_before = 0.0
        self._validation = ExitStack()

    def run_starts(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Start the clocks."""
        self._start = self._since = perf_counter()
        self._step, self._paused = trainer.global_step, module.paused_seconds

    def after_step(self, trainer: Trainer, module: PretrainingModule) -> None:
        """On a log step, wait for the device and measure the window that ends here."""
        step = trainer.global_step
        if not module.plan.due(step, self.every_tokens):
            return
        if module.device.type == "cuda":
            torch.cuda.synchronize(module.device)
        now, paused = perf_counter(), module.paused_seconds
        seconds = max(now - self._since - (paused - self._paused), 1e-9)
        rate = (step - self._step) * module.plan.tokens_per_step / seconds
        module.row |= {
            "tokens_per_second": rate,
            "elapsed_seconds": self._elapsed_before + now - self._start,
            "peak_memory_bytes": peak_memory(module.device),
        }
        module.row |= self._shares(rate / trainer.world_size)
        self._since, self._step, self._paused = now, step, paused

    def _shares(self, rate: float) -> dict[str, float]:
        """Shares of a device's peak at ``rate`` tokens a second; none where it is unknown."""
        eight_bit = self.eight_bit()
        plain = self.peak.seconds(self.flops_per_token, 0.0)
        mixed = self.peak.seconds(self.flops_per_token, eight_bit)
        named = {"mfu": plain, "peak_share": mixed}
        return {name: rate * each for name, each in named.items() if each is not None}

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validation is not training."""
        if isinstance(pl_module, PretrainingModule):
            self._validation.enter_context(pl_module.pause())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Training goes on."""
        self._validation.close()

    def state_dict(self) -> dict[str, Any]:
        """Seconds of all processes of this run so far."""
        return {"elapsed_seconds": self._elapsed_before + perf_counter() - self._start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting from there."""
        self._elapsed_before = state_dict["elapsed_seconds"]


def peak_memory(device: torch.device) -> int:
    """Bytes: allocated on a GPU at most, or resident in this process at most."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
