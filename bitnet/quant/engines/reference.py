"""The paper's formula, word for word: the truth every other engine is held against.

It quantises the latent weights itself, on every call, and so cannot be misled by stale codes. The
product runs over dequantised operands in the compute dtype; in fp32 that is exact to rounding, in
bf16 the operands are rounded once more (about 0.3 % of the output's rms).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn.functional import linear

from bitnet.quant.straight_through import int8_straight_through
from bitnet.quant.weights import STRAIGHT_THROUGH


def reference_engine(
    x: Tensor, weights: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """``linear(q(x), q(W))`` with ternary weights and identity gradients; see :class:`Engine`."""
    return _products(x, weights, STRAIGHT_THROUGH["bitnet"])


def binary_reference_engine(
    x: Tensor, weights: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The same with binary weights."""
    return _products(x, weights, STRAIGHT_THROUGH["binary"])


def _products(
    x: Tensor, weights: Sequence[Tensor], quantize: Callable[[Tensor], Tensor]
) -> tuple[Tensor, ...]:
    x_q = int8_straight_through(x)
    return tuple(linear(x_q, quantize(w).to(x.dtype)) for w in weights)
