"""Arithmetic of training: how many operations a token, a step and a run cost, and where they go."""

from __future__ import annotations

from dataclasses import dataclass

from bitnet.nn import Transformer


@dataclass(frozen=True)
class Work:
    """Operations to train on one token, forward and backward.

    A product of a weight costs 2 operations forward and 4 backward; norms, activations and
    quantisers are left out, as in the MFU of the metrics. Attention counts the half it may see.

    Attributes:
        matrices: products of the weights in the blocks.
        attention: scores and their products with values.
        head: from the residual stream to logits.
    """

    matrices: float
    attention: float
    head: float

    @property
    def total(self) -> float:
        """Forward and backward."""
        return self.matrices + self.attention + self.head

    @property
    def forward(self) -> float:
        """A third: backward makes two products for each of forward's."""
        return self.total / 3

    @property
    def backward(self) -> float:
        """Two thirds."""
        return self.total - self.forward


def work_per_token(net: Transformer, sequence_length: int) -> Work:
    """Operations of ``net`` on one token; the sum is :meth:`Transformer.flops_per_token`."""
    shape = net.shape
    total = net.flops_per_token(sequence_length)
    # Everything but attention is the same for each token, however long the sequence.
    attention = total - net.flops_per_token(0)
    head = 6.0 * shape.vocabulary * shape.table_width
    if shape.embedding_dim is not None:
        head += 6.0 * shape.embedding_dim * shape.dim
    return Work(matrices=total - attention - head, attention=attention, head=head)
