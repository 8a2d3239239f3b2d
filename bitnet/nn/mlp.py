"""The feed-forward layer: ``down(norm(act(gate(x)) * up(x)))``, or without a gate."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import gelu, relu, silu

from bitnet.nn.cpu_norm import ACTIVATIONS, gated_norm
from bitnet.nn.factory import LinearFactory, project
from bitnet.nn.norm import RMSNorm, make_norm
from bitnet.nn.reading import Reading
from bitnet.nn.shape import ModelShape


def relu2(x: Tensor) -> Tensor:
    """Squared ReLU (So et al., 2021), the activation of BitNet b1.58 2B4T."""
    return relu(x).square()


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"silu": silu, "gelu": gelu, "relu2": relu2}


class FeedForward(nn.Module):
    """Feed-forward layer; ``ffn_sub_norm`` stands before the down projection if asked for.

    Args:
        shape: of the model.
        linear: factory of the projections.
    """

    def __init__(self, shape: ModelShape, linear: LinearFactory) -> None:
        super().__init__()
        self.gated = shape.gated
        self.fused = shape.fused_gate_up
        if self.fused:
            self.gate_up = linear(shape.dim, 2 * shape.ffn_dim)
        else:
            if self.gated:
                self.gate = linear(shape.dim, shape.ffn_dim)
            self.up = linear(shape.dim, shape.ffn_dim)
        self.down = linear(shape.ffn_dim, shape.dim)
        self.activation_name = shape.activation
        self.activation = _ACTIVATIONS[shape.activation]
        wants_norm = shape.sub_norm and not linear.norms_inside
        self.ffn_sub_norm = make_norm(shape, shape.ffn_dim) if wants_norm else None

    def forward(self, x_BTD: Tensor, reading: Reading) -> Tensor:
        """Map ``[B, T, dim]`` to the same shape."""
        out_BTD: Tensor = self.down(self._inner(x_BTD, reading), reading)
        return out_BTD

    def _inner(self, x_BTD: Tensor, reading: Reading) -> Tensor:
        if not self.gated:
            up_BTF: Tensor = self.up(x_BTD, reading)
            return self._normed(self.activation(up_BTF))
        gate_BTF, up_BTF = self._gate_and_up(x_BTD, reading)
        norm, name = self.ffn_sub_norm, self.activation_name
        if isinstance(norm, RMSNorm) and norm.kernel_serves(gate_BTF) and name in ACTIVATIONS:
            return gated_norm(gate_BTF, up_BTF, norm.weight, norm.eps, name)
        return self._normed(self.activation(gate_BTF) * up_BTF)

    def _gate_and_up(self, x_BTD: Tensor, reading: Reading) -> tuple[Tensor, ...]:
        if self.fused:
            both: Tensor = self.gate_up(x_BTD, reading)
            return both.chunk(2, dim=-1)
        return project(x_BTD, (self.gate, self.up), reading)

    def _normed(self, y_BTF: Tensor) -> Tensor:
        return y_BTF if self.ffn_sub_norm is None else self.ffn_sub_norm(y_BTF)
