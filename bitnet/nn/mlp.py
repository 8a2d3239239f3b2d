"""The gated feed-forward layer: ``down(norm(act(gate(x)) * up(x)))``."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import relu, silu

from bitnet.nn.factory import LinearFactory, project
from bitnet.nn.norm import RMSNorm
from bitnet.nn.shape import ModelShape


def relu2(x: Tensor) -> Tensor:
    """Squared ReLU (So et al., 2021), the activation of BitNet b1.58 2B4T."""
    return relu(x).square()


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"silu": silu, "relu2": relu2}


class FeedForward(nn.Module):
    """Gated feed-forward; ``ffn_sub_norm`` stands before the down projection if asked for.

    Args:
        shape: of the model.
        linear: factory of the three projections.
    """

    def __init__(self, shape: ModelShape, linear: LinearFactory) -> None:
        super().__init__()
        self.gate = linear(shape.dim, shape.ffn_dim)
        self.up = linear(shape.dim, shape.ffn_dim)
        self.down = linear(shape.ffn_dim, shape.dim)
        self.activation = _ACTIVATIONS[shape.activation]
        wants_norm = shape.sub_norm and not linear.norms_inside
        self.ffn_sub_norm = RMSNorm(shape.ffn_dim, shape.norm_eps) if wants_norm else None

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Map ``[B, T, dim]`` to the same shape."""
        gate_BTF, up_BTF = project(x_BTD, (self.gate, self.up))
        y_BTF = self.activation(gate_BTF) * up_BTF
        normed_BTF = y_BTF if self.ffn_sub_norm is None else self.ffn_sub_norm(y_BTF)
        out_BTD: Tensor = self.down(normed_BTF)
        return out_BTD
