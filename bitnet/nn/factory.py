"""Where linear layers come from. A block asks here and never names a kind of layer itself."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bitnet.nn.bit_linear import BitLinear
from bitnet.nn.linear import DenseLinear
from bitnet.nn.linear_spec import LinearSpec


class LinearFactory:
    """Builds the layers of a model as its spec says.

    Args:
        spec: kind, engine and place of the norm.
        norm_eps: eps of norms inside the layers.
    """

    def __init__(self, spec: LinearSpec, norm_eps: float) -> None:
        self.spec = spec
        self.norms_inside = spec.norm == "inside"
        self._eps = norm_eps if self.norms_inside else None

    def __call__(self, in_features: int, out_features: int) -> DenseLinear:
        """A layer of the kind asked for."""
        if self.spec.kind == "dense":
            return DenseLinear(in_features, out_features, self._eps)
        return BitLinear(in_features, out_features, self._eps, self.spec.engine)


def project(x: Tensor, layers: Sequence[DenseLinear]) -> tuple[Tensor, ...]:
    """Send one input through several layers; ternary ones quantise it once for all of them.

    Layers with norms of their own see different inputs and share nothing.
    """
    ternary = [layer for layer in layers if isinstance(layer, BitLinear) and layer.norm is None]
    if len(ternary) != len(layers):
        return tuple(layer(x) for layer in layers)
    quantised = [layer.current() for layer in ternary]
    codes, scales = [pair[0] for pair in quantised], [pair[1] for pair in quantised]
    return ternary[0].engine()(x, [layer.weight for layer in ternary], codes, scales)
