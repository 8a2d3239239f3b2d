"""Quantisation by degrees: what a dense model is trained with while it becomes a ternary one.

With a share ``s`` between 0 and 1, weights and activations are ``v + s (q(v) - v)``, the gradient
of which is taken as the identity. At 0 the layer is dense, at 1 it is the reference engine.
Source: "Fine-tuning LLMs to 1.58bit", Hugging Face blog, 2024, where the share is called lambda.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import linear

from bitnet.quant.activation import int8_quantize
from bitnet.quant.weights import STRAIGHT_THROUGH


class BlendedEngine:
    """An :class:`Engine` whose operands are quantised in part.

    Args:
        share: fp32 scalar on the weights' device; written in place between steps, so that a
            compiled pass need not be compiled again.
        kind: of the weights' quantiser: ``bitnet`` or ``binary``.
    """

    def __init__(self, share: Tensor, kind: str) -> None:
        self.share = share
        self.kind = kind

    def __call__(
        self,
        x: Tensor,
        weights: Sequence[Tensor],
        codes: Sequence[Tensor],
        scales: Sequence[Tensor],
    ) -> tuple[Tensor, ...]:
        """Quantises the latent weights itself; codes and scales are not looked at."""
        x_s = _blend(x.float(), int8_quantize(x.float()), self.share).to(x.dtype)
        quantize = STRAIGHT_THROUGH[self.kind]
        return tuple(linear(x_s, _blend(w, quantize(w), self.share).to(x.dtype)) for w in weights)


def _blend(value: Tensor, quantised: Tensor, share: Tensor) -> Tensor:
    return value + share * (quantised - value).detach()
