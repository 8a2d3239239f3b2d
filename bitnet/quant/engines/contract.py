"""What an engine is: the product of one input with several ternary weights.

Several, because query, key and value read the same activations, as do gate and up: the input is
quantised once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class EngineUnavailableError(ValueError):
    """The engine asked for by name cannot run here, or there is none of that name."""


class Engine(Protocol):
    """Computes ``quantised(x) @ quantised(W).T`` for every weight, with straight-through gradients.

    Args:
        x: activations ``[..., in]`` in the compute dtype; quantised per token.
        weights: latent weights ``[out_i, in]``; they receive the gradients.
        codes: their ternary codes, int8 as ``ternary_codes`` makes them or as ``held_codes`` holds
            them.
        scales: their fp32 scalar scales.

    Returns:
        A tensor ``[..., out_i]`` of x's dtype for every weight.
    """

    def __call__(
        self,
        x: Tensor,
        weights: Sequence[Tensor],
        codes: Sequence[Tensor],
        scales: Sequence[Tensor],
    ) -> tuple[Tensor, ...]:
        """See the class."""
