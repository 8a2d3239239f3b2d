"""Where a step is taken: the LightningModule of next-token pre-training.

It owns the model, its optimizer and the running sums of the loss. Everything it needs comes in as
built objects, so it can be made in a notebook as well as by ``bitnet train``. Values for the
metrics row of a step are laid in :attr:`PretrainingModule.row`; callbacks add theirs, and one of
them writes the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import Any

import lightning
import torch
from torch import Tensor, distributed

from bitnet.data.module import MixtureModule
from bitnet.nn import Transformer
from bitnet.training.budget import StepPlan
from bitnet.training.loop_state import align_loop_state
from bitnet.training.metrics import SourceLoss
from bitnet.training.optimizers import Optimizer, scales_of, set_rates
from bitnet.training.quantization import QuantizationWarmup
from bitnet.training.schedules import Schedule
from bitnet.training.strategies.shard import full, whole

Batch = dict[str, Tensor]


class PretrainingModule(lightning.LightningModule):
    """Next-token training of a :class:`~bitnet.nn.Transformer`.

    Args:
        net: the model; its parameters are the fp32 masters.
        optimizer: spec of the optimizer (``clip_norm`` included).
        schedule: learning rate and weight decay against tokens.
        plan: tokens into steps.
        weights: the mix, source name to share, in the order of a batch's ``source`` byte.
        byte_lengths: ``[vocab]`` bytes of text a token stands for, for bits per byte.
        quantization: how quantisation sets in; none means it is whole from the start.
    """

    def __init__(
        self,
        net: Transformer,
        optimizer: Optimizer,
        schedule: Schedule,
        plan: StepPlan,
        weights: dict[str, float],
        byte_lengths: Tensor,
        quantization: QuantizationWarmup | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.optimizer_spec = optimizer
        self.schedule = schedule
        self.plan = plan
        self.quantization = quantization or QuantizationWarmup()
        self.sources = list(weights)
        self.train_loss = SourceLoss(self.sources, byte_lengths)
        self.val_loss = SourceLoss(self.sources, byte_lengths, list(weights.values()))
        self.row: dict[str, float] = {}
        self.details: dict[str, float] = {}
        self.header: dict[str, Any] = {}
        self.paused_seconds = 0.0
        self.gradient_norm: Tensor | None = None
        self._sums_at_step = self._sums()
        self._scales: list[tuple[float, float]] = []
        self._share = 1.0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean next-token loss of a micro-batch, in nats."""
        mean, nll_BT, targets_BT = self._loss(batch)
        self.train_loss.update(nll_BT, targets_BT, batch["source"])
        return mean

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a validation batch to the sums by source."""
        _, nll_BT, targets_BT = self._loss(batch)
        self.val_loss.update(nll_BT, targets_BT, batch["source"])

    def on_validation_epoch_end(self) -> None:
        """Lay the validation losses into the row of this step."""
        values = {f"val/{key}": value for key, value in self.val_loss.compute().items()}
        self.val_loss.reset()
        self.row |= values
        # Logged as well, for callbacks that watch a metric, such as EarlyStopping.
        self.log("val/loss", values["val/loss"], logger=False, rank_zero_only=True)

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        tokens = batch["tokens"].long()
        targets_BT = tokens[:, 1:]
        return *self.net.loss(tokens[:, :-1], targets_BT), targets_BT

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer; the schedule is applied in :meth:`on_train_batch_start`."""
        rate, decay = self._rates(step=1)
        built = self.optimizer_spec.build(self.net, rate, decay, self.schedule.peak)
        self._scales = scales_of(built.param_groups)
        return built

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set what moves with the tokens for the step this micro-batch belongs to."""
        if batch_idx % self.plan.accumulate == 0:
            rate, decay = self._rates(self.global_step + 1)
            groups = self.optimizers(use_pl_optimizer=False).param_groups  # type: ignore[union-attr]  # one optimizer
            set_rates(groups, self._scales, rate, decay)
            self._quantise(self.global_step + 1)

    def on_validation_start(self) -> None:
        """Measure the model of the last step, also in a run resumed at its very end."""
        self._quantise(max(1, self.global_step))

    def _rates(self, step: int) -> tuple[float, float]:
        """Learning rate and weight decay of a step, counted from 1."""
        return self.schedule.at(self.plan.tokens_at(step), self.plan.tokens_at(self.plan.steps))

    def _quantise(self, step: int) -> None:
        """Bring the model's quantisation to where it stands in a step, counted from 1."""
        share = self._quantization_share(step)
        if share != self._share:
            self.net.set_quantization(share)
            self._share = share

    def _quantization_share(self, step: int) -> float:
        whole = self.plan.tokens_at(self.plan.steps)
        return self.quantization.share(self.plan.tokens_at(step), whole)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """After a whole step, note its sums and the data's position: checkpoints hold no halves."""
        if self.step_ended(batch_idx):
            self._sums_at_step = self._sums()
            data = self.trainer.datamodule  # type: ignore[attr-defined]  # set by a connector
            if isinstance(data, MixtureModule):
                data.trained_batches = self.global_step * self.plan.accumulate

    def step_ended(self, batch_idx: int) -> bool:
        """Whether the micro-batch ``batch_idx`` was the last of its optimizer step."""
        return (batch_idx + 1) % self.plan.accumulate == 0

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Mark work that is not training, so that it does not count in tokens a second."""
        start = perf_counter()
        try:
            yield
        finally:
            self.paused_seconds += perf_counter() - start

    def whole(self) -> AbstractContextManager[None]:
        """The model put together for a while if it is shared out; then every process must ask."""
        return whole(self.net)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by global norm and keep the norm (a tensor: no host sync) for the metrics row."""
        limit = self.optimizer_spec.clip_norm or float("inf")
        self.gradient_norm = full(torch.nn.utils.clip_grad_norm_(self.net.parameters(), limit))

    def scheduled(self) -> dict[str, float]:
        """What moved with the tokens, as it was in the last step taken."""
        step = max(1, self.global_step)
        rate, decay = self._rates(step)
        values = {"lr": rate, "weight_decay": decay}
        if self.quantization.is_on:
            values["quantization"] = self._quantization_share(step)
        return values

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not keep: the open row, and the sums since the last one."""
        align_loop_state(checkpoint, self.global_step * self.plan.accumulate)
        sums = self._sums_at_step.clone()
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(sums)
        checkpoint["bitnet"] = {**self.header, "tokens": self.plan.tokens_at(self.global_step)}
        checkpoint["open_row"] = {"values": dict(self.row), "train_sums": sums.cpu()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the open row where it was; rank 0 holds the sums of all ranks."""
        saved = checkpoint["open_row"]
        self.row = dict(saved["values"])
        sums = saved["train_sums"] * (self.global_rank == 0)
        for name, values in zip(_SUMS, sums, strict=True):
            setattr(self.train_loss, name, values.to(self.train_loss.nats))
        self._sums_at_step = self._sums()

    def _sums(self) -> Tensor:
        """``[3, sources]``: a copy of the running sums of the training loss."""
        return torch.stack([getattr(self.train_loss, name) for name in _SUMS])


_SUMS = ("nats", "tokens", "bytes")
