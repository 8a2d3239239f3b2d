"""The full-precision linear layer, and the base of the ternary one.

No layer of a block has a bias. Parameters are fp32 masters; the product runs in the dtype of the
input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from bitnet.nn.norm import RMSNorm


class DenseLinear(nn.Module):
    """``norm(x) @ W.T``; without a norm of its own by default.

    Args:
        in_features: width of the input.
        out_features: width of the output.
        norm_eps: eps of an RMSNorm inside the layer; ``None`` for no norm.
    """

    def __init__(self, in_features: int, out_features: int, norm_eps: float | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.norm = None if norm_eps is None else RMSNorm(in_features, norm_eps)
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., in]`` to ``[..., out]`` in x's dtype."""
        return linear(self.normed(x), self.weight.to(x.dtype))

    def normed(self, x: Tensor) -> Tensor:
        """The input behind the layer's own norm, if it has one."""
        return x if self.norm is None else self.norm(x)

    def extra_repr(self) -> str:
        """Sizes, for ``print(model)``."""
        return f"{self.weight.shape[1]} -> {self.weight.shape[0]}"
