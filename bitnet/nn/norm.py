"""Norms over the last dimension, computed in fp32 whatever the activations' dtype."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from bitnet.nn.cpu_norm import rms_scaled
from bitnet.nn.shape import ModelShape


class RMSNorm(nn.Module):
    """``x / sqrt(mean(x^2) + eps) * gain`` (Zhang & Sennrich, 2019).

    Args:
        width: size of the last dimension.
        eps: added to the mean square.

    Attributes:
        by_kernel: where :mod:`bitnet.nn.cpu_norm` serves, gradients are made by it.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.by_kernel = False
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``[..., width]``; the result has x's dtype."""
        wide = x.float()
        inverse_rms = torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        if self.kernel_serves(x):
            return rms_scaled(x, inverse_rms, self.weight)
        return (wide * inverse_rms * self.weight).to(x.dtype)

    def kernel_serves(self, x: Tensor) -> bool:
        """Whether it was asked for the kernels, and they are for tensors like x."""
        return self.by_kernel and x.dtype == torch.bfloat16 and x.device.type == "cpu"


class LayerNorm(nn.Module):
    """``(x - mean) / sqrt(var + eps) * gain + bias`` (Ba et al., 2016).

    Args:
        width: size of the last dimension.
        eps: added to the variance.
        bias: whether there is one.
    """

    def __init__(self, width: int, eps: float, bias: bool) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``[..., width]``; the result has x's dtype."""
        wide = layer_norm(x.float(), self.weight.shape, self.weight, self.bias, self.eps)
        return wide.to(x.dtype)


def make_norm(shape: ModelShape, width: int) -> nn.Module:
    """A norm of the model's kind."""
    if shape.norm == "layer":
        return LayerNorm(width, shape.norm_eps, shape.bias)
    return RMSNorm(width, shape.norm_eps)
