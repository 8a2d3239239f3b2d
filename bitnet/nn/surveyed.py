"""What can be asked of a model without running it: layers, tables, matrices and their numbers."""

from __future__ import annotations

from torch import nn

from bitnet.nn import counts
from bitnet.nn.bit_linear import BitLinear
from bitnet.nn.head import Head
from bitnet.nn.mup import width_ratio
from bitnet.nn.shape import ModelShape


class Surveyed(nn.Module):
    """The part of a :class:`~bitnet.nn.Transformer` that answers questions about it.

    Attributes:
        shape: its sizes and choices.
        embedding: the table of tokens.
        positions: that of positions, if they are learned.
        head: norm and output projection.
    """

    shape: ModelShape
    embedding: nn.Embedding
    positions: nn.Embedding | None
    head: Head

    def ternary_layers(self) -> dict[str, BitLinear]:
        """Name to quantised layer (ternary or binary), in the order of the state dict."""
        return {name: m for name, m in self.named_modules() if isinstance(m, BitLinear)}

    def tables(self) -> list[nn.Parameter]:
        """The parameters that are looked up, or that logits are made with: not matrices proper."""
        owners = (self.embedding, self.positions, self.head)
        found = (None if owner is None else owner.weight for owner in owners)
        return [table for table in found if isinstance(table, nn.Parameter)]

    def hidden_matrices(self) -> dict[str, nn.Parameter]:
        """The matrices inside the blocks, by name."""
        return {
            name: parameter
            for name, parameter in self.named_parameters()
            if name.startswith("blocks.") and parameter.ndim == 2
        }

    def learning_rate_scales(self) -> dict[str, float]:
        """What each parameter's learning rate is multiplied by: 1, but for muP's hidden matrices.

        Source: :mod:`bitnet.nn.mup`.
        """
        hidden, ratio = self.hidden_matrices(), width_ratio(self.shape)
        return {name: ratio if name in hidden else 1.0 for name, _ in self.named_parameters()}

    def parameter_counts(self) -> dict[str, int]:
        """Parameters: ``total``, ``ternary``, ``embedding`` and ``other``."""
        return counts.parameter_counts(self)

    def flops_per_token(self, sequence_length: int) -> float:
        """Operations to train on one token; see :func:`bitnet.nn.counts.flops_per_token`."""
        return counts.flops_per_token(self, sequence_length)
