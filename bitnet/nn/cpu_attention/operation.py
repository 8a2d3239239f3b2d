"""Attention as an operation of torch: a compiler sees what it returns, not how."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.library import custom_op

from bitnet.nn.cpu_attention import kernel


def cpu_attention(
    q_BHTK: Tensor,
    k_BJTK: Tensor,
    v_BJTK: Tensor,
    scale: float,
    slopes_H: Tensor | None = None,
    documents_BT: Tensor | None = None,
) -> Tensor:
    """``softmax(q k' * scale + ALiBi + causal mask) v``, ``[B, H, T, K]``.

    Args:
        q_BHTK: queries in bf16, K even.
        k_BJTK: keys; of fewer heads J if H divides by theirs.
        v_BJTK: values, like the keys.
        scale: of the scores.
        slopes_H: of ALiBi, a head's price of each token's distance; ``None``: distance is free.
        documents_BT: of each token; it does not see those of others. ``None``: there is but one.
    """
    marks = (slopes_H, documents_BT)
    y_BHTK: Tensor = _Attention.apply(q_BHTK, k_BJTK, v_BJTK, scale, *marks)  # type: ignore[no-untyped-call]
    return y_BHTK


class _Attention(Function):
    @staticmethod
    def forward(
        ctx: Any,
        q_BHTK: Tensor,
        k_BJTK: Tensor,
        v_BJTK: Tensor,
        scale: float,
        slopes_H: Tensor | None,
        documents_BT: Tensor | None,
    ) -> Tensor:
        y_BHTK: Tensor
        y_BHTK, log_totals_BHT = attention(q_BHTK, k_BJTK, v_BJTK, scale, slopes_H, documents_BT)
        ctx.save_for_backward(
            q_BHTK, k_BJTK, v_BJTK, y_BHTK, log_totals_BHT, slopes_H, documents_BT
        )
        ctx.scale = scale
        return y_BHTK

    @staticmethod
    def backward(ctx: Any, dy_BHTK: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, slopes_H, documents_BT = ctx.saved_tensors
        dq, dk, dv = attention_gradient(*tensors, dy_BHTK, ctx.scale, slopes_H, documents_BT)
        return dq, dk, dv, None, None, None


@custom_op("bitnet::attention", mutates_args=(), device_types="cpu")
def attention(
    q_BHTK: Tensor,
    k_BJTK: Tensor,
    v_BJTK: Tensor,
    scale: float,
    slopes_H: Tensor | None,
    documents_BT: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """See :func:`bitnet.nn.cpu_attention.kernel.forward`."""
    return kernel.forward(q_BHTK, k_BJTK, v_BJTK, scale, slopes_H, documents_BT)


@attention.register_fake
def _(
    q_BHTK: Tensor,
    k_BJTK: Tensor,
    v_BJTK: Tensor,
    scale: float,
    slopes_H: Tensor | None,
    documents_BT: Tensor | None,
) -> tuple[Tensor, Tensor]:
    return kernel.like_output(q_BHTK), kernel.like_totals(q_BHTK)


@custom_op("bitnet::attention_gradient", mutates_args=(), device_types="cpu")
def attention_gradient(
    q_BHTK: Tensor,
    k_BJTK: Tensor,
    v_BJTK: Tensor,
    y_BHTK: Tensor,
    log_totals_BHT: Tensor,
    dy_BHTK: Tensor,
    scale: float,
    slopes_H: Tensor | None,
    documents_BT: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See :func:`bitnet.nn.cpu_attention.kernel.backward`."""
    tensors = (q_BHTK, k_BJTK, v_BJTK, y_BHTK, log_totals_BHT, dy_BHTK)
    return kernel.backward(*tensors, scale, slopes_H, documents_BT)


@attention_gradient.register_fake
def _(
    q_BHTK: Tensor,
    k_BJTK: Tensor,
    v_BJTK: Tensor,
    y_BHTK: Tensor,
    log_totals_BHT: Tensor,
    dy_BHTK: Tensor,
    scale: float,
    slopes_H: Tensor | None,
    documents_BT: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    return kernel.like_output(q_BHTK), kernel.like_output(k_BJTK), kernel.like_output(v_BJTK)
