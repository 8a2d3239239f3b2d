"""The shape of a model: every number that decides which tensors it has.

A model is a shape times a kind of linear layer (``LinearSpec``): the same shape built of dense and
of ternary layers gives twins whose only difference is quantisation.
"""

from dataclasses import dataclass
from difflib import get_close_matches

ACTIVATIONS = ("silu", "relu2")


@dataclass
class ModelShape:
    """Sizes of a decoder-only Transformer with gated feed-forward layers.

    Attributes:
        name: what the shape is called in reports.
        dim: width of the residual stream.
        layers: number of blocks.
        heads: query heads.
        kv_heads: key and value heads; ``None`` means as many as ``heads``.
        head_dim: width of a head; ``None`` means ``dim / heads``.
        ffn_dim: width inside the feed-forward layer.
        vocab_size: rows of the embedding; ``None`` means "from the tokenizer" and must be filled in
            before a model is built.
        max_sequence_length: longest sequence the model is meant for.
        rope_base: base of the rotary frequencies.
        norm_eps: added to the mean square in every RMSNorm.
        activation: of the gate, ``silu`` or ``relu2`` (squared ReLU).
        sub_norm: norms before the output projections of attention and feed-forward.
        tie_embeddings: the output head reuses the embedding.
        init_std: standard deviation of initial weights.
    """

    name: str = "tiny"
    dim: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int | None = None
    head_dim: int | None = None
    ffn_dim: int = 688
    vocab_size: int | None = None
    max_sequence_length: int = 2048
    rope_base: float = 10000.0
    norm_eps: float = 1e-5
    activation: str = "silu"
    sub_norm: bool = True
    tie_embeddings: bool = True
    init_std: float = 0.02

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.head_dim if self.head_dim is not None else self.dim // self.heads

    @property
    def key_value_heads(self) -> int:
        """Number of key and value heads."""
        return self.kv_heads if self.kv_heads is not None else self.heads

    @property
    def vocabulary(self) -> int:
        """The vocabulary size.

        Raises:
            ValueError: it was left to the tokenizer and nobody filled it in.
        """
        if self.vocab_size is None:
            raise ValueError("vocab_size: still unset; take it from the tokenizer before building")
        return self.vocab_size

    def problems(self) -> list[str]:
        """What is wrong with the shape, a line a problem; empty if nothing is."""
        return self._size_problems() + self._head_problems() + self._choice_problems()

    def _size_problems(self) -> list[str]:
        names = ("dim", "layers", "heads", "ffn_dim", "max_sequence_length", "rope_base")
        positive = (*names, "norm_eps", "init_std", "kv_heads", "head_dim", "vocab_size")
        values = {name: getattr(self, name) for name in positive}
        return [
            f"{name}: must be positive, not {value}"
            for name, value in values.items()
            if value is not None and value <= 0
        ]

    def _head_problems(self) -> list[str]:
        if self._size_problems():
            return []
        found = []
        if self.head_dim is None and self.dim % self.heads:
            found.append(f"heads: {self.heads} does not divide dim {self.dim} (or set head_dim)")
        elif self.head_width % 2:
            found.append(f"head_dim: rotary positions need an even width, not {self.head_width}")
        if self.heads % self.key_value_heads:
            found.append(f"kv_heads: {self.kv_heads} does not divide heads {self.heads}")
        return found

    def _choice_problems(self) -> list[str]:
        if self.activation in ACTIVATIONS:
            return []
        near = get_close_matches(self.activation, ACTIVATIONS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return [f"activation: {self.activation!r} is not one of {', '.join(ACTIVATIONS)}{hint}"]
