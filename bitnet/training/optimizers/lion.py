"""Lion, one moment and the sign of it: half of AdamW's memory, updates of one size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bitnet.nn import Transformer
from bitnet.training.optimizers.adamw import warn_of_strong_decay
from bitnet.training.optimizers.base import Group, Optimizer, betas_problems, parameter_groups


@dataclass
class DecoupledLion(Optimizer):
    """Lion with decay decoupled from the learning rate, as MosaicML trained MPT-7B.

    A step takes ``weight_decay * lr / peak`` of a matrix away. Good rates are 3 to 10 times lower
    than AdamW's. Source: ``DecoupledLionW`` of MosaicML's example code; Lion is arXiv 2302.06675.
    """

    betas: list[float] = field(default_factory=lambda: [0.9, 0.99])

    def build(
        self, net: Transformer, lr: float, weight_decay: float, peak: float
    ) -> torch.optim.Optimizer:
        """Groups that decay and groups that do not."""
        warn_of_strong_decay(weight_decay)
        first, second = self.betas
        return Lion(parameter_groups(net, lr, weight_decay, decoupled_peak=peak), (first, second))

    def problems(self) -> list[str]:
        """Also: two betas, each in [0, 1)."""
        return super().problems() + betas_problems(self.betas)


class Lion(torch.optim.Optimizer):
    r"""Lion, over all tensors of a group at once.

    With gradient :math:`g`, momentum :math:`m` (0 at first), rate :math:`\eta`, decay
    :math:`\lambda` and betas :math:`\beta_1, \beta_2` a step is

    .. math::
        \theta \leftarrow (1 - \eta\lambda)\,\theta
            - \eta\,\operatorname{sign}(\beta_1 m + (1 - \beta_1) g), \qquad
        m \leftarrow \beta_2 m + (1 - \beta_2) g

    Source: arXiv 2302.06675, algorithm 2.

    Args:
        params: groups, with ``lr`` and ``weight_decay`` each.
        betas: of the update and of the momentum.
    """

    def __init__(self, params: list[Group], betas: tuple[float, float] = (0.9, 0.99)) -> None:
        super().__init__(params, {"betas": betas})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; ``closure`` recomputes the loss, which is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update(group)
        return loss

    def _update(self, group: Group) -> None:
        weights = [each for each in group["params"] if each.grad is not None]
        if not weights:
            return
        grads = [weight.grad for weight in weights]
        momenta = [self._momentum(weight) for weight in weights]
        first, second = group["betas"]
        torch._foreach_mul_(weights, 1.0 - group["lr"] * group["weight_decay"])
        updates = torch._foreach_lerp(momenta, grads, 1.0 - first)
        torch._foreach_sign_(updates)
        torch._foreach_add_(weights, updates, alpha=-group["lr"])
        torch._foreach_lerp_(momenta, grads, 1.0 - second)

    def _momentum(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "exp_avg" not in state:
            state["exp_avg"] = torch.zeros_like(weight)
        momentum: Tensor = state["exp_avg"]
        return momentum
