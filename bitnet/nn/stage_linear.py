"""A linear layer that is itself a small transformer: the building block of GLORT2.

``in -> dim``, then LLaMA-style blocks over the same token positions, then ``dim -> out``. Each has
attention, and so keys and values, of its own. Sizes as in the published config of crumb/GLORT2; the
parameter count agrees with its file to the norms, whose places are not published.
"""

from __future__ import annotations

from torch import Tensor, nn

from bitnet.nn.block import Block
from bitnet.nn.factory import LinearFactory
from bitnet.nn.linear_spec import LinearSpec
from bitnet.nn.reading import Reading, inside
from bitnet.nn.shape import ModelShape


class StageLinear(nn.Module):
    """Maps ``[B, T, in]`` to ``[B, T, out]``; a token's output depends on the tokens before it.

    Args:
        in_features: width of the input.
        out_features: width of the output.
        spec: the model's linear of kind ``stage``.
        outer: shape of the model it belongs to.
    """

    def __init__(
        self, in_features: int, out_features: int, spec: LinearSpec, outer: ModelShape
    ) -> None:
        super().__init__()
        shape = stage_shape(spec, outer)
        linear = LinearFactory(LinearSpec(spec.stage.kind, spec.engine), shape)
        self.into = linear(in_features, shape.dim)
        self.blocks = nn.ModuleList(Block(shape, linear) for _ in range(shape.layers))
        self.out = linear(shape.dim, out_features, outer.bias)

    def forward(self, x_BTD: Tensor, reading: Reading) -> Tensor:
        """Read the tokens in the light of those before them."""
        within = inside(reading)
        h_BTS = self.into(x_BTD)
        for block in self.blocks:
            h_BTS = block(h_BTS, within)
        y_BTD: Tensor = self.out(h_BTS)
        return y_BTD

    def output_weight(self) -> nn.Parameter:
        """The matrix that writes the layer's output."""
        return self.out.output_weight()


def stage_shape(spec: LinearSpec, outer: ModelShape) -> ModelShape:
    """Shape of the small transformer: gated SiLU, RMS norms, rotary positions, fused q, k and v."""
    stage = spec.stage
    return ModelShape(
        name=f"{outer.name}-stage",
        dim=stage.dim,
        layers=stage.layers,
        heads=stage.heads,
        ffn_dim=stage.ffn_dim,
        max_sequence_length=outer.max_sequence_length,
        rope_base=outer.rope_base,
        norm_eps=outer.norm_eps,
        sub_norm=False,
        fused_qkv=True,
    )
