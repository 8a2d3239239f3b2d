"""The paper's formula, word for word: the truth every other engine is held against.

It quantises the latent weights itself, on every call, and so cannot be misled by stale codes. The
product runs over dequantised operands in the compute dtype; in fp32 that is exact to rounding, in
bf16 the operands are rounded once more (about 0.3 % of the output's rms).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import linear

from bitnet.quant.straight_through import int8_straight_through, ternary_straight_through


def reference_engine(
    x: Tensor, weights: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """``linear(q(x), q(W))`` with identity gradients; see :class:`Engine`."""
    x_q = int8_straight_through(x)
    return tuple(linear(x_q, ternary_straight_through(w).to(x.dtype)) for w in weights)
