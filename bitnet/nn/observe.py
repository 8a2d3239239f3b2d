"""Looking at quantised layers from above: what monitors need, beside the training path."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from bitnet.nn.bit_linear import BitLinear
from bitnet.quant import WEIGHT_CODES, pack_ternary, unpack_ternary


@dataclass(frozen=True)
class TernaryLook:
    """One look at a layer.

    Attributes:
        minus: share of weights that are -1.
        zero: share of weights that are 0.
        plus: share of weights that are +1.
        scale: absmean of the latent weights.
        flip_rate: share of weights whose code differs from the look before; ``None``: no such look.
        packed: the codes on the CPU, 2 bits a weight, to hand to the next look.
    """

    minus: float
    zero: float
    plus: float
    scale: float
    flip_rate: float | None
    packed: Tensor


@torch.no_grad()
def look_at(layer: BitLinear, before: Tensor | None = None) -> TernaryLook:
    """Quantise the weight as it is now; compare with ``before``, the ``packed`` of a look.

    A weight that is shared out over processes is put together: they all must look.
    """
    weight = layer.weight.detach()
    whole = weight.full_tensor() if isinstance(weight, DTensor) else weight
    codes, scale = WEIGHT_CODES[layer.kind](whole)
    counts = torch.stack([(codes == value).sum() for value in (-1, 0, 1)])
    minus, zero, plus = (counts.double() / codes.numel()).tolist()
    codes = codes.cpu()
    flips = None
    if before is not None:
        flips = float((unpack_ternary(before, codes.shape) != codes).double().mean())
    return TernaryLook(minus, zero, plus, float(scale), flips, pack_ternary(codes))
