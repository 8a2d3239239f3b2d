"""The full-precision linear layer, and the base of the quantised one.

Parameters are fp32 masters; the product runs in the dtype of the input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from bitnet.nn.reading import Reading


class DenseLinear(nn.Module):
    """``norm(x) @ W.T + b``; without a norm of its own and without a bias by default.

    Args:
        in_features: width of the input.
        out_features: width of the output.
        norm: a norm inside the layer, before the product.
        bias: whether there is one; it starts at zero.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        norm: nn.Module | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        self.norm = norm
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor, reading: Reading | None = None) -> Tensor:
        """Map ``[..., in]`` to ``[..., out]`` in x's dtype; positions do not matter here."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return linear(self.normed(x), self.weight.to(x.dtype), bias)

    def normed(self, x: Tensor) -> Tensor:
        """The input behind the layer's own norm, if it has one."""
        if self.norm is None:
            return x
        normed: Tensor = self.norm(x)
        return normed

    def biased(self, y: Tensor) -> Tensor:
        """A product with the bias added, if there is one."""
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def output_weight(self) -> nn.Parameter:
        """The matrix that writes the layer's output."""
        return self.weight

    def extra_repr(self) -> str:
        """Sizes, for ``print(model)``."""
        return f"{self.weight.shape[1]} -> {self.weight.shape[0]}"
