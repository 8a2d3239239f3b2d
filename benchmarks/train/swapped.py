"""Other people's linear layers in our Transformer: its dense twin with every linear replaced.

What is compared is the layer and nothing else. The fp32 master weight is shared, and the peer runs
under autocast to the shell's dtype, as mixed precision is had outside of this project.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.train.contender import Contender
from benchmarks.train.task import Task
from bitnet.nn import DenseLinear, LinearSpec, Transformer
from bitnet.nn.reading import Reading


class PeerLinear(nn.Module):
    """A peer's layer behind the call of ours."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, reading: Reading | None = None) -> Tensor:
        """Map ``[..., in]`` to ``[..., out]`` in x's dtype; positions do not matter here."""
        mixed = x.dtype != torch.float32
        with torch.autocast(x.device.type, x.dtype if mixed else torch.bfloat16, enabled=mixed):
            y: Tensor = self.inner(x)
        return y.to(x.dtype)


class Swapped(Contender):
    """A contender whose blocks hold a peer's layers."""

    def layer(self, in_features: int, out_features: int) -> Any:
        """The peer's layer, without a bias; its weight is replaced, so it may be on ``meta``."""
        raise NotImplementedError

    def wrapped(self, weight: nn.Parameter) -> nn.Module:
        """The layer around a master weight ``[out, in]``, to stand where ours stood."""
        with torch.device("meta"):
            inner = self.layer(weight.shape[1], weight.shape[0])
        inner.weight = weight
        return PeerLinear(inner)

    def build(self, task: Task) -> Transformer:
        """See :class:`Contender`."""
        model = Transformer(task.shape.model(), LinearSpec("dense"), self.compute).to(task.device)
        for parent in list(model.blocks.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, DenseLinear):
                    setattr(parent, name, self.wrapped(child.weight))
        return model
