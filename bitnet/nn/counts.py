"""How many parameters a model has and how many operations a token costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bitnet.nn.bit_linear import BitLinear
from bitnet.nn.linear import DenseLinear
from bitnet.nn.shape import ModelShape

if TYPE_CHECKING:
    from bitnet.nn.transformer import Transformer


def parameter_counts(model: Transformer) -> dict[str, int]:
    """Parameters by what becomes of them.

    Returns:
        ``total``; ``ternary`` (weights of BitLinear layers, 0 in a dense model); ``embedding``
        (the token table, and the output head if it has its own); ``other`` (norm gains, and the
        matrices of a dense model).
    """
    total = sum(p.numel() for p in model.parameters())
    ternary = sum(m.weight.numel() for m in model.modules() if isinstance(m, BitLinear))
    head = model.head.weight
    embedding = model.embedding.weight.numel() + (0 if head is None else head.numel())
    other = total - ternary - embedding
    return {"total": total, "ternary": ternary, "embedding": embedding, "other": other}


def flops_per_token(model: Transformer, sequence_length: int) -> float:
    """Floating-point operations to train on one token, forward and backward.

    Formula: ``3 * (2 * matrices + 4 * layers * heads * head_width * T / 2)``. Matrices are those of
    the blocks and the output head, at 2 operations a weight; attention's two products cost
    ``4 * heads * head_width`` for each token looked at, of which a causal one has T / 2 on average.
    Backward costs twice forward. Norms, activations and quantisers are left out.
    """
    shape: ModelShape = model.shape
    matrices = sum(m.weight.numel() for m in model.modules() if isinstance(m, DenseLinear))
    matrices += shape.vocabulary * shape.dim
    attention = 2 * shape.layers * shape.heads * shape.head_width * sequence_length
    return 3.0 * (2 * matrices + attention)
