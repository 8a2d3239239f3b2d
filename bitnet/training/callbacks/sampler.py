"""Text the model writes while it learns: to ``samples.md`` and, where W&B runs, to a table.

Each look uses its own generator with a fixed seed, so sampling never disturbs training and a
resumed run writes the same text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.loggers import WandbLogger

from bitnet.nn import Transformer
from bitnet.runs import SamplesFile
from bitnet.training.module import PretrainingModule
from bitnet.training.step_callback import StepCallback

Generate = Callable[[Transformer, str], str]


class Sampler(StepCallback):
    """Completes prompts at a cadence (rank 0; of a sharded model all ranks, and rank 0 writes).

    Args:
        file: ``samples.md`` of the run.
        generate: ``(net, prompt) -> continuation``; decoding settings are its own.
        prompts: what to complete.
        every_tokens: the cadence.
    """

    def __init__(
        self, file: SamplesFile, generate: Generate, prompts: list[str], every_tokens: int
    ) -> None:
        self.file = file
        self.generate = generate
        self.prompts = prompts
        self.every_tokens = every_tokens
        self._table: Any = None

    def run_starts(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Cut off what lies beyond the checkpoint."""
        if trainer.is_global_zero:
            self.file.truncate_after(trainer.global_step)

    def after_step(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Write samples, if it is time."""
        due = module.plan.due(trainer.global_step, self.every_tokens)
        if due:
            with module.pause(), module.whole():
                self._write(trainer, module)

    @torch.no_grad()
    def _write(self, trainer: Trainer, module: PretrainingModule) -> None:
        module.net.eval()
        pairs = [(prompt, self.generate(module.net, prompt)) for prompt in self.prompts]
        module.net.train()
        if not trainer.is_global_zero:
            return
        step = trainer.global_step
        tokens = module.plan.tokens_at(step)
        self.file.append(step=step, tokens=tokens, samples=pairs)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                self._mirror(logger, tokens, pairs)

    def _mirror(self, logger: WandbLogger, tokens: int, pairs: list[tuple[str, str]]) -> None:
        import wandb  # only where W&B runs

        if self._table is None:
            columns: list[str | int] = ["tokens", "prompt", "continuation"]
            self._table = wandb.Table(columns=columns, log_mode="INCREMENTAL")
        for prompt, continuation in pairs:
            self._table.add_data(tokens, prompt, continuation)
        logger.experiment.log({"samples": self._table, "tokens": tokens})
