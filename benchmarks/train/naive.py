"""What people train with today: the published formula, word for word, in fp32 and eager mode.

Source of the formula: "The Era of 1-bit LLMs: Training Tips, Code and FAQ" (2024). Norms stand
outside the layer, as in our own blocks: one norm less than that text has, in its favour.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from benchmarks.train.swapped import Swapped


class FakeQuantLinear(nn.Module):
    """Fake quantisation of both operands, then a full-precision product."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., in]`` to ``[..., out]``."""
        x_q = x + (_activation(x) - x).detach()
        w_q = self.weight + (_ternary(self.weight) - self.weight).detach()
        return linear(x_q, w_q)


class Naive(Swapped):
    """See the module."""

    name = "naive fp32"
    kind = "naive"
    compute = torch.float32
    compiles = False
    cpu_allocator = "system"
    note = "fp32 and eager, as it is written by hand, with torch's own allocator"

    def layer(self, in_features: int, out_features: int) -> nn.Module:
        """See :class:`Swapped`."""
        return FakeQuantLinear(in_features, out_features)


def _activation(x: Tensor) -> Tensor:
    scale = 127.0 / x.abs().amax(dim=-1, keepdim=True).clamp(min=1e-5)
    return (x * scale).round().clamp(-128, 127) / scale


def _ternary(w: Tensor) -> Tensor:
    scale = 1.0 / w.abs().mean().clamp(min=1e-5)
    return (w * scale).round().clamp(-1, 1) / scale
