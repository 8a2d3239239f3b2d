"""Optimizers as specs: what decays, what does not, and how gradients are clipped.

Weight decay on norm gains kills channels of BitNet models for good (gains of 1e-32 were found in a
released checkpoint), so only matrices decay: never norms, never embeddings.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn


@dataclass
class Optimizer:
    """What every optimizer shares.

    Attributes:
        clip_norm: gradients are scaled down to this global L2 norm; 0 switches clipping off.
    """

    clip_norm: float = 1.0

    def build(self, module: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """The torch optimizer over ``module``'s parameters."""
        raise TypeError(f"{type(self).__name__} is no optimizer by itself; choose one of its kinds")

    def problems(self) -> list[str]:
        """Human-readable faults of the values, empty when they make sense."""
        if self.clip_norm < 0:
            return [f"clip_norm: {self.clip_norm} is negative; 0 switches clipping off"]
        return []


@dataclass
class AdamW(Optimizer):
    """AdamW (arXiv 1711.05101) with the betas of the LLaMA and BitNet recipes; fused kernels."""

    betas: list[float] = field(default_factory=lambda: [0.9, 0.95])
    eps: float = 1e-8

    def build(self, module: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """One group that decays and one that does not."""
        groups = parameter_groups(module, weight_decay)
        first, second = self.betas
        return torch.optim.AdamW(groups, lr=lr, betas=(first, second), eps=self.eps, fused=True)

    def problems(self) -> list[str]:
        """Also: two betas, each in [0, 1)."""
        found = super().problems()
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            found.append(f"betas: {self.betas} must be two numbers in [0, 1)")
        return found


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; norms, biases and embedding tables do not.

    A head tied to the embedding is the embedding. Each group carries ``decays``, which tells the
    schedule whether to set its weight decay.
    """
    tables = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for parameter in module.parameters():
        if parameter.requires_grad:
            plain = parameter.ndim < 2 or id(parameter) in tables
            (kept if plain else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay, "decays": True},
        {"params": kept, "weight_decay": 0.0, "decays": False},
    ]
