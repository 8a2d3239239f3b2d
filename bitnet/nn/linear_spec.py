"""Which linear layers a model is made of: the second half of "a model is a shape x a linear"."""

from dataclasses import dataclass
from difflib import get_close_matches

from bitnet.quant import check_engine_name

KINDS = ("bitnet", "dense")
NORMS = ("outside", "inside")


@dataclass
class LinearSpec:
    """Kind of the linear layers inside the blocks (embedding and head are always full precision).

    Attributes:
        kind: ``bitnet`` (ternary weights, int8 activations) or ``dense``.
        engine: how ternary products are computed: ``auto``, ``reference`` or ``int8``.
        norm: ``outside`` puts norms before attention and feed-forward, as the released models do;
            ``inside`` gives every linear its own norm, as the paper draws it, and then blocks have
            none. It holds for both kinds, so that twins differ in quantisation alone.
    """

    kind: str = "bitnet"
    engine: str = "auto"
    norm: str = "outside"

    def problems(self) -> list[str]:
        """What is wrong with the choice, a line a problem; empty if nothing is."""
        found = []
        for field, value, valid in (("kind", self.kind, KINDS), ("norm", self.norm, NORMS)):
            if value not in valid:
                near = get_close_matches(value, valid, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                found.append(f"{field}: {value!r} is not one of {', '.join(valid)}{hint}")
        wrong_engine = check_engine_name(self.engine)
        return found + ([f"engine: {wrong_engine}"] if wrong_engine else [])
