"""Where linear layers come from. A block asks here and never names a kind of layer itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

from bitnet.nn.bit_linear import BitLinear
from bitnet.nn.linear import DenseLinear
from bitnet.nn.linear_spec import LinearSpec
from bitnet.nn.norm import make_norm
from bitnet.nn.reading import Reading
from bitnet.nn.shape import ModelShape

if TYPE_CHECKING:
    from bitnet.nn.stage_linear import StageLinear

Linear: TypeAlias = "DenseLinear | StageLinear"
"""What takes ``(x, reading)`` and maps ``[..., in]`` to ``[..., out]``."""


class LinearFactory:
    """Builds the layers of a model as its spec says.

    Args:
        spec: kind, engine and place of the norm.
        shape: of the model: biases and the kind of norm.
    """

    def __init__(self, spec: LinearSpec, shape: ModelShape) -> None:
        self.spec = spec
        self.shape = shape
        self.norms_inside = spec.norm in ("inside", "both")
        self.norms_outside = spec.norm in ("outside", "both")

    def __call__(self, in_features: int, out_features: int, bias: bool | None = None) -> Linear:
        """A layer of the kind asked for; with a bias as the shape says, unless told."""
        if self.spec.kind == "stage":
            from bitnet.nn.stage_linear import StageLinear  # made of blocks, which come from here

            return StageLinear(in_features, out_features, self.spec, self.shape)
        norm = make_norm(self.shape, in_features) if self.norms_inside else None
        bias = self.shape.bias if bias is None else bias
        if self.spec.kind == "dense":
            return DenseLinear(in_features, out_features, norm, bias)
        return BitLinear(in_features, out_features, norm, bias, self.spec.kind, self.spec.engine)


def project(x: Tensor, layers: Sequence[Linear], reading: Reading) -> tuple[Tensor, ...]:
    """Send one input through several layers; quantised ones share its quantisation.

    Layers with norms of their own see different inputs and share nothing.
    """
    sharing = [layer for layer in layers if isinstance(layer, BitLinear) and layer.norm is None]
    if len(sharing) != len(layers):
        return tuple(layer(x, reading) for layer in layers)
    quantised = [layer.current() for layer in sharing]
    codes, scales = [pair[0] for pair in quantised], [pair[1] for pair in quantised]
    outputs = sharing[0].engine()(x, [layer.weight for layer in sharing], codes, scales)
    return tuple(layer.biased(y) for layer, y in zip(sharing, outputs, strict=True))
