"""Norms as operations of torch: a compiler sees what they return, not how.

A compiler puts operations in order by the sizes of what they return. Gradients of gains are written
into tensors that are given, so that in backward nothing but the gate's gradient counts.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.library import custom_op

from bitnet.nn.cpu_norm import kernel


def gated_norm(gate: Tensor, up: Tensor, gain_F: Tensor, eps: float, activation: str) -> Tensor:
    """``h / sqrt(mean(h^2) + eps) * gain`` with ``h = act(gate) * up``, contiguous ``[..., F]``.

    All in fp32, rounded once. A row whose sum of ``h^2`` is not finite becomes NaN.

    Args:
        gate: bf16 ``[..., F]``.
        up: like the gate; both may be halves of one wider tensor.
        gain_F: of the norm.
        eps: of the norm.
        activation: of the gate, ``silu`` or ``relu2``.
    """
    normed: Tensor = _GatedNorm.apply(gate, up, gain_F.float(), eps, activation)  # type: ignore[no-untyped-call]
    return normed


class _GatedNorm(Function):
    @staticmethod
    def forward(
        ctx: Any, gate: Tensor, up: Tensor, gain_F: Tensor, eps: float, activation: str
    ) -> Tensor:
        normed: Tensor
        normed, inverse_rms = gated_norm_forward(gate, up, gain_F, eps, activation)
        ctx.save_for_backward(gate, up, gain_F, inverse_rms)
        ctx.activation = activation
        return normed

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        own, d_gain_F = _to_write_over(dy), torch.empty_like(ctx.saved_tensors[2])
        d_gate = gated_norm_gradient(own, d_gain_F, *ctx.saved_tensors, ctx.activation)
        return d_gate, own, d_gain_F, None, None


def rms_scaled(x: Tensor, inverse_rms: Tensor, gain_F: Tensor) -> Tensor:
    """``x * inverse_rms * gain``, whose gradient knows that ``inverse_rms`` is of x.

    Args:
        x: bf16 ``[..., F]``.
        inverse_rms: fp32 ``[..., 1]``, one over the root of x's mean square.
        gain_F: of the norm.
    """
    scaled: Tensor = _Scaled.apply(x, inverse_rms, gain_F.float())  # type: ignore[no-untyped-call]
    return scaled


class _Scaled(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, inverse_rms: Tensor, gain_F: Tensor) -> Tensor:
        ctx.save_for_backward(x, gain_F, inverse_rms)
        return (x.float() * inverse_rms * gain_F).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        own, d_gain_F = _to_write_over(dy), torch.empty_like(ctx.saved_tensors[1])
        norm_gradient(own, d_gain_F, *ctx.saved_tensors)
        return own, None, d_gain_F


def _to_write_over(dy: Tensor) -> Tensor:
    # A compiler knows whether dy is needed elsewhere, and copies it if so.
    own = dy.contiguous()
    return dy.clone() if own is dy and not torch.compiler.is_compiling() else own


@custom_op("bitnet::gated_norm", mutates_args=(), device_types="cpu")
def gated_norm_forward(
    gate: Tensor, up: Tensor, gain_F: Tensor, eps: float, activation: str
) -> tuple[Tensor, Tensor]:
    """See :func:`bitnet.nn.cpu_norm.kernel.forward`."""
    return kernel.forward(gate, up, gain_F, eps, activation)


@gated_norm_forward.register_fake
def _(
    gate: Tensor, up: Tensor, gain_F: Tensor, eps: float, activation: str
) -> tuple[Tensor, Tensor]:
    return kernel.like_rows(gate), kernel.like_norms(gate)


@custom_op("bitnet::gated_norm_gradient", mutates_args=("dy", "d_gain_F"), device_types="cpu")
def gated_norm_gradient(
    dy: Tensor,
    d_gain_F: Tensor,
    gate: Tensor,
    up: Tensor,
    gain_F: Tensor,
    inverse_rms: Tensor,
    activation: str,
) -> Tensor:
    """See :func:`bitnet.nn.cpu_norm.kernel.backward`."""
    return kernel.backward(dy, d_gain_F, gate, up, gain_F, inverse_rms, activation)


@gated_norm_gradient.register_fake
def _(
    dy: Tensor,
    d_gain_F: Tensor,
    gate: Tensor,
    up: Tensor,
    gain_F: Tensor,
    inverse_rms: Tensor,
    activation: str,
) -> Tensor:
    return kernel.like_rows(gate)


@custom_op("bitnet::norm_gradient", mutates_args=("dy", "d_gain_F"), device_types="cpu")
def norm_gradient(
    dy: Tensor, d_gain_F: Tensor, x: Tensor, gain_F: Tensor, inverse_rms: Tensor
) -> None:
    """See :func:`bitnet.nn.cpu_norm.kernel.norm_backward`."""
    kernel.norm_backward(dy, d_gain_F, x, gain_F, inverse_rms)


@norm_gradient.register_fake
def _(dy: Tensor, d_gain_F: Tensor, x: Tensor, gain_F: Tensor, inverse_rms: Tensor) -> None:
    return None
