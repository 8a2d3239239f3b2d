"""AdamW, with decay bound to the learning rate as in torch, or decoupled from it as in Composer."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import torch

from bitnet.nn import Transformer
from bitnet.training.optimizers.base import Group, Optimizer, betas_problems, parameter_groups

_log = logging.getLogger(__name__)
_STRONG_DECAY = 1e-3


@dataclass
class AdamW(Optimizer):
    """AdamW (arXiv 1711.05101) with the betas of the LLaMA and BitNet recipes; fused kernels.

    A step takes ``lr * weight_decay`` of a matrix away.
    """

    betas: list[float] = field(default_factory=lambda: [0.9, 0.95])
    eps: float = 1e-8

    def build(
        self, net: Transformer, lr: float, weight_decay: float, peak: float
    ) -> torch.optim.Optimizer:
        """Groups that decay and groups that do not."""
        return self._fused(parameter_groups(net, lr, weight_decay))

    def _fused(self, groups: list[Group]) -> torch.optim.Optimizer:
        first, second = self.betas
        return torch.optim.AdamW(groups, betas=(first, second), eps=self.eps, fused=True)

    def problems(self) -> list[str]:
        """Also: two betas, each in [0, 1)."""
        return super().problems() + betas_problems(self.betas)


@dataclass
class DecoupledAdamW(AdamW):
    """AdamW whose decay follows the schedule's form but not the size of its rate.

    A step takes ``weight_decay * lr / peak`` of a matrix away, so the decay keeps its strength when
    the peak is swept; useful values are about 1e-5 to 1e-3. The update is AdamW's.

    Source: ``DecoupledAdamW`` of MosaicML's Composer, after section 2 of arXiv 1711.05101. Its
    "initial" rate is the one before any schedule: the peak.
    """

    def build(
        self, net: Transformer, lr: float, weight_decay: float, peak: float
    ) -> torch.optim.Optimizer:
        """Fused AdamW; the groups' decay is divided by the rate that it multiplies by."""
        warn_of_strong_decay(weight_decay)
        return self._fused(parameter_groups(net, lr, weight_decay, decoupled_peak=peak))


def warn_of_strong_decay(weight_decay: float) -> None:
    """Say so if a decoupled decay has the size of a coupled one: it would shrink the weights."""
    if weight_decay >= _STRONG_DECAY:
        _log.warning(
            "schedule.weight_decay: %g is decoupled from the learning rate here and takes %g %% of "
            "every weight away at each step of the peak; usual are 1e-5 to 1e-3",
            weight_decay,
            100 * weight_decay,
        )
