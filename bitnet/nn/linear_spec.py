"""Which linear layers a model is made of: the second half of "a model is a shape x a linear"."""

from dataclasses import dataclass, field
from difflib import get_close_matches

from bitnet.quant import check_engine_name

KINDS = ("bitnet", "dense", "binary", "stage")
INNER_KINDS = ("dense", "bitnet", "binary")
NORMS = ("outside", "inside", "both")


@dataclass
class StageSpec:
    """The small transformer that stands for a linear of kind ``stage`` (GLORT2).

    ``in -> dim``, ``layers`` LLaMA-style blocks over the same token positions, ``dim -> out``.

    Attributes:
        kind: of its own linears: ``dense``, ``bitnet`` or ``binary``.
        dim: its width.
        layers: its blocks.
        heads: its attention heads.
        ffn_dim: width inside its feed-forward layer.
    """

    kind: str = "dense"
    dim: int = 384
    layers: int = 1
    heads: int = 6
    ffn_dim: int = 1536

    def problems(self) -> list[str]:
        """What is wrong with the sizes, a line a problem."""
        sizes = ("dim", "layers", "heads", "ffn_dim")
        found = [
            f"stage.{name}: must be positive, not {getattr(self, name)}"
            for name in sizes
            if getattr(self, name) <= 0
        ]
        if not found and self.dim % (2 * self.heads):
            found.append(
                f"stage.heads: {self.heads} heads of even width do not fit into dim {self.dim}"
            )
        return found + _choice("stage.kind", self.kind, INNER_KINDS)


@dataclass
class LinearSpec:
    """Kind of the linear layers inside the blocks (embedding and head are always full precision).

    Attributes:
        kind: ``bitnet`` (ternary weights, int8 activations), ``binary`` (weights of one bit, the
            same activations), ``dense``, or ``stage`` (each linear is a small transformer).
        engine: how products of quantised weights are computed: ``auto``, ``reference``, ``int8``,
            ``int8_grad8`` or ``int8_grad_e4m3`` (see :func:`bitnet.quant.select_engine`).
        norm: ``outside`` puts norms before attention and feed-forward, as the released models do;
            ``inside`` gives every linear its own norm, as the paper draws it, and then blocks have
            none; ``both`` has both. It holds for all kinds but ``stage``, so that twins differ in
            quantisation alone.
        stage: sizes of the small transformers of kind ``stage``.
    """

    kind: str = "bitnet"
    engine: str = "auto"
    norm: str = "outside"
    stage: StageSpec = field(default_factory=StageSpec)

    def problems(self) -> list[str]:
        """What is wrong with the choice, a line a problem; empty if nothing is."""
        found = _choice("kind", self.kind, KINDS) + _choice("norm", self.norm, NORMS)
        wrong_engine = check_engine_name(self.engine)
        found += [f"engine: {wrong_engine}"] if wrong_engine else []
        return found + (self.stage.problems() if self.kind == "stage" else [])


def _choice(field_name: str, value: str, valid: tuple[str, ...]) -> list[str]:
    if value in valid:
        return []
    near = get_close_matches(value, valid, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return [f"{field_name}: {value!r} is not one of {', '.join(valid)}{hint}"]
