"""One block: attention and feed-forward, each behind a norm and beside a residual."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bitnet.nn.attention import Attention
from bitnet.nn.factory import LinearFactory
from bitnet.nn.mlp import FeedForward
from bitnet.nn.norm import make_norm
from bitnet.nn.reading import Reading
from bitnet.nn.recompute import run_again
from bitnet.nn.shape import ModelShape


class Block(nn.Module):
    """Pre-norm block. Where only the linears own norms, the block has none.

    Attributes:
        recompute: what its backward makes anew: ``none``, ``blocks`` or ``selective`` (see
            :mod:`bitnet.nn.recompute`).

    Args:
        shape: of the model.
        linear: factory of the projections.
    """

    def __init__(self, shape: ModelShape, linear: LinearFactory) -> None:
        super().__init__()
        self.recompute = "none"
        self.depth = shape.layers
        self.parallel = shape.residual == "parallel"
        self.attention_norm = _pre_norm(shape, linear)
        self.attention = Attention(shape, linear)
        self.ffn_norm = _pre_norm(shape, linear)
        self.ffn = FeedForward(shape, linear)

    def forward(self, x_BTD: Tensor, reading: Reading) -> Tensor:
        """Map ``[B, T, dim]`` to the same shape."""
        if self.recompute == "none" or not torch.is_grad_enabled():
            return self._through(x_BTD, reading)
        return run_again(self._through, self.recompute, x_BTD, reading)

    def _through(self, x_BTD: Tensor, reading: Reading) -> Tensor:
        attended_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), reading)
        seen_BTD = x_BTD if self.parallel else attended_BTD
        out_BTD: Tensor = attended_BTD + self.ffn(self.ffn_norm(seen_BTD), reading)
        return out_BTD


def _pre_norm(shape: ModelShape, linear: LinearFactory) -> nn.Module:
    return make_norm(shape, shape.dim) if linear.norms_outside else nn.Identity()
