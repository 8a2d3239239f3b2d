"""What every optimizer spec shares, and the groups that parameters fall into.

Weight decay on norm gains kills channels of BitNet models for good (gains of 1e-32 were found in a
released checkpoint), so only matrices decay: never norms, never biases, never embeddings. Each
group carries ``lr_scale`` and ``decay_scale``, by which the schedule's learning rate and weight
decay are multiplied; all differences between groups stand in these two numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bitnet.nn import Transformer

Group = dict[str, Any]


@dataclass
class Optimizer:
    """What every optimizer shares.

    Attributes:
        clip_norm: gradients are scaled down to this global L2 norm; 0 switches clipping off.
    """

    clip_norm: float = 1.0

    def build(
        self, net: Transformer, lr: float, weight_decay: float, peak: float
    ) -> torch.optim.Optimizer:
        """The torch optimizer over ``net``'s parameters.

        Args:
            net: the model.
            lr: learning rate of the first step.
            weight_decay: weight decay of the first step.
            peak: the schedule's highest rate, which decoupled decay is measured by.
        """
        raise TypeError(f"{type(self).__name__} is no optimizer by itself; choose one of its kinds")

    def problems(self) -> list[str]:
        """Human-readable faults of the values, empty when they make sense."""
        if self.clip_norm < 0:
            return [f"clip_norm: {self.clip_norm} is negative; 0 switches clipping off"]
        return []


def parameter_groups(
    net: Transformer, lr: float, weight_decay: float, decoupled_peak: float | None = None
) -> list[Group]:
    """Parameters by what they share: whether they decay, and the model's own scale of the rate.

    Matrices decay; norms, biases and embedding tables do not. A head tied to the embedding is the
    embedding.

    Args:
        net: the model; its ``learning_rate_scales`` are muP's (1 without muP).
        lr: learning rate of the first step.
        weight_decay: weight decay of the first step.
        decoupled_peak: for optimizers whose decay is ``weight_decay * lr / peak`` a step: that
            peak. torch multiplies by the rate, so the group's decay is divided by its peak.
    """
    tables = {id(m.weight) for m in net.modules() if isinstance(m, nn.Embedding)}
    scales = net.learning_rate_scales()
    found: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            plain = parameter.ndim < 2 or id(parameter) in tables
            found.setdefault((plain, scales[name]), []).append(parameter)
    groups: list[Group] = []
    for plain, scale in sorted(found):
        unit = 1.0 if decoupled_peak is None else 1.0 / (decoupled_peak * scale)
        decay_scale = 0.0 if plain else unit
        params = found[plain, scale]
        groups.append({"params": params, "lr_scale": scale, "decay_scale": decay_scale})
    set_rates(groups, scales_of(groups), lr, weight_decay)
    return groups


def scales_of(groups: Iterable[Group]) -> list[tuple[float, float]]:
    """``lr_scale`` and ``decay_scale`` of each group."""
    return [(group["lr_scale"], group["decay_scale"]) for group in groups]


def set_rates(
    groups: Iterable[Group], scales: Sequence[tuple[float, float]], lr: float, weight_decay: float
) -> None:
    """Set each group's rate and decay from the schedule's.

    Args:
        groups: of a torch optimizer; a resumed one's come from its checkpoint.
        scales: of :func:`scales_of` when the optimizer was built, so they follow the config.
        lr: the schedule's learning rate.
        weight_decay: the schedule's weight decay.
    """
    for group, (lr_scale, decay_scale) in zip(groups, scales, strict=True):
        group["lr"] = lr * lr_scale
        group["weight_decay"] = weight_decay * decay_scale


def betas_problems(betas: list[float]) -> list[str]:
    """A line unless there are two betas, each in [0, 1)."""
    if len(betas) == 2 and all(0 <= beta < 1 for beta in betas):
        return []
    return [f"betas: {betas} must be two numbers in [0, 1)"]
