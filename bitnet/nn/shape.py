"""The shape of a model: every number and choice that decides which tensors it has.

A model is a shape times a kind of linear layer (``LinearSpec``): the same shape built of dense and
of ternary layers gives twins whose only difference is quantisation. LLaMA, BitNet, GPT-NeoX, Mosaic
GPT, Cerebras-GPT and GLORT2 are points in this space, not classes.
"""

from dataclasses import dataclass


@dataclass
class ModelShape:
    """A decoder-only Transformer.

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
        position: ``rotary``, ``learned`` (a table added to the embedding) or ``alibi``.
        rope_base: base of the rotary frequencies.
        rotary_fraction: share of each head's width that rotates; the rest has no position.
        alibi_max: the largest exponent of ALiBi's slopes, ``2 ** (-alibi_max * i / heads)``.
        norm: ``rms`` or ``layer``.
        norm_eps: added to the mean square (``rms``) or the variance (``layer``).
        bias: biases in every linear of the blocks and in every ``layer`` norm.
        residual: ``sequential``, or ``parallel`` (attention and feed-forward read the same input).
        gated: feed-forward is ``down(act(gate) * up)``; else ``down(act(up))``.
        activation: ``silu``, ``gelu`` (exact) or ``relu2`` (squared ReLU).
        sub_norm: norms before the output projections of attention and feed-forward.
        qk_norm: norms over the whole width of queries and of keys, before the split into heads.
        fused_qkv: one linear makes queries, keys and values.
        fused_gate_up: one linear makes gate and up.
        tie_embeddings: the output head reuses the embedding.
        embedding_dim: width of the embedding table if it is not ``dim``; full-precision matrices
            lead from it and back to it.
        embedding_scale: embeddings are multiplied by this.
        logit_scale: logits are multiplied by this.
        mup_base_dim: turns on muP with this base width (see :mod:`bitnet.nn.mup`).
        init: scheme of the initial weights (see :mod:`bitnet.nn.init`).
        init_std: standard deviation for the schemes that take one.
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
    position: str = "rotary"
    rope_base: float = 10000.0
    rotary_fraction: float = 1.0
    alibi_max: float = 8.0
    norm: str = "rms"
    norm_eps: float = 1e-5
    bias: bool = False
    residual: str = "sequential"
    gated: bool = True
    activation: str = "silu"
    sub_norm: bool = True
    qk_norm: bool = False
    fused_qkv: bool = False
    fused_gate_up: bool = False
    tie_embeddings: bool = True
    embedding_dim: int | None = None
    embedding_scale: float = 1.0
    logit_scale: float = 1.0
    mup_base_dim: int | None = None
    init: str = "normal"
    init_std: float = 0.02

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.head_dim if self.head_dim is not None else self.dim // self.heads

    @property
    def rotary_width(self) -> int:
        """How much of a head's width rotates; 0 without rotary positions."""
        if self.position != "rotary":
            return 0
        return int(self.head_width * self.rotary_fraction)

    @property
    def key_value_heads(self) -> int:
        """Number of key and value heads."""
        return self.kv_heads if self.kv_heads is not None else self.heads

    @property
    def table_width(self) -> int:
        """Width of the embedding table."""
        return self.embedding_dim if self.embedding_dim is not None else self.dim

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
        from bitnet.nn.shape_rules import shape_problems  # the rules need this class

        return shape_problems(self)
