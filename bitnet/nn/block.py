"""One block: attention and feed-forward, each behind a norm and beside a residual."""

from __future__ import annotations

from torch import Tensor, nn

from bitnet.nn.attention import Attention
from bitnet.nn.cache import LayerCache
from bitnet.nn.factory import LinearFactory
from bitnet.nn.mlp import FeedForward
from bitnet.nn.norm import RMSNorm
from bitnet.nn.position import Rotation
from bitnet.nn.shape import ModelShape


class Block(nn.Module):
    """Pre-norm block. Where the linears own their norms, the block has none.

    Args:
        shape: of the model.
        linear: factory of the projections.
    """

    def __init__(self, shape: ModelShape, linear: LinearFactory) -> None:
        super().__init__()
        self.attention_norm = _pre_norm(shape, linear)
        self.attention = Attention(shape, linear)
        self.ffn_norm = _pre_norm(shape, linear)
        self.ffn = FeedForward(shape, linear)

    def forward(self, x_BTD: Tensor, turn: Rotation, cache: LayerCache | None = None) -> Tensor:
        """Map ``[B, T, dim]`` to the same shape."""
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), turn, cache)
        x_BTD = x_BTD + self.ffn(self.ffn_norm(x_BTD))
        return x_BTD


def _pre_norm(shape: ModelShape, linear: LinearFactory) -> nn.Module:
    return nn.Identity() if linear.norms_inside else RMSNorm(shape.dim, shape.norm_eps)
