"""A sign of life, so that ``bitnet status`` can tell a running process from a dead one."""

from __future__ import annotations

from lightning import Trainer

from bitnet.runs import Heartbeat
from bitnet.training.module import PretrainingModule
from bitnet.training.step_callback import StepCallback


class HeartbeatWriter(StepCallback):
    """Writes the heartbeat of a run after steps, at most every few seconds (rank 0)."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.heartbeat = heartbeat

    def after_step(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Beat, if it is time."""
        if trainer.is_global_zero:
            step = trainer.global_step
            self.heartbeat.beat(step=step, tokens=module.plan.tokens_at(step))
