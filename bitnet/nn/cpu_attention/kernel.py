"""How the kernels are called: numbers and addresses for C."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch
from torch import Tensor

from bitnet.native import Library, run_with_scratch

_LIBRARY = Library("attention", Path(__file__).parent, "bitnet_attends_here", "AVX-512 BF16")


class _Tensor(ctypes.Structure):
    """``Tensor`` of attention.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("batch_step", ctypes.c_int64),
        ("head_step", ctypes.c_int64),
        ("token_step", ctypes.c_int64),
    )


class _Problem(ctypes.Structure):
    """``Problem`` of attention.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "heads", "kv_heads", "length", "width")),
        ("scale", ctypes.c_float),
        ("slopes", ctypes.c_void_p),
        ("documents", ctypes.c_void_p),
    )


def why_not() -> str | None:
    """Why there are no kernels in this process, or ``None`` if there are."""
    return _LIBRARY.why_not()


def serves(dtype: torch.dtype) -> bool:
    """Whether there are kernels here for heads of this dtype, of any even width."""
    return dtype == torch.bfloat16 and why_not() is None


def forward(
    q_BHTK: Tensor,
    k_BJTK: Tensor,
    v_BJTK: Tensor,
    scale: float,
    slopes_H: Tensor | None,
    documents_BT: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Output ``[B, H, T, K]`` and the logarithm of each softmax's total, fp32 ``[B, H, T]``."""
    q_BHTK, k_BJTK, v_BJTK = map(_lined_up, (q_BHTK, k_BJTK, v_BJTK))
    y_BHTK, log_totals_BHT = like_output(q_BHTK), like_totals(q_BHTK)
    slopes_H, documents_BT = _plain(slopes_H, torch.float32), _plain(documents_BT, torch.int32)
    problem = _problem(q_BHTK, k_BJTK, scale, slopes_H, documents_BT)
    run_with_scratch(
        _LIBRARY.load().bitnet_attention,
        ctypes.byref(problem),
        _tensors(q_BHTK, k_BJTK, v_BJTK),
        *map(_address, (y_BHTK, log_totals_BHT)),
    )
    return y_BHTK, log_totals_BHT


def backward(
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
    """Gradients of q, k and v, from what :func:`forward` gave and its output's gradient."""
    q_BHTK, k_BJTK, v_BJTK = map(_lined_up, (q_BHTK, k_BJTK, v_BJTK))
    y_BHTK, dy_BHTK = _lined_up(y_BHTK), _lined_up(dy_BHTK)
    log_totals_BHT = log_totals_BHT.contiguous()
    gradients = like_output(q_BHTK), like_output(k_BJTK), like_output(v_BJTK)
    slopes_H, documents_BT = _plain(slopes_H, torch.float32), _plain(documents_BT, torch.int32)
    problem = _problem(q_BHTK, k_BJTK, scale, slopes_H, documents_BT)
    run_with_scratch(
        _LIBRARY.load().bitnet_attention_gradient,
        ctypes.byref(problem),
        _tensors(q_BHTK, k_BJTK, v_BJTK, y_BHTK, dy_BHTK),
        *map(_address, (log_totals_BHT, *gradients)),
    )
    return gradients


def like_output(x_BHTK: Tensor) -> Tensor:
    """An empty tensor of x's shape, heads side by side in memory, as projections have them."""
    return x_BHTK.new_empty(x_BHTK.transpose(1, 2).shape).transpose(1, 2)


def like_totals(q_BHTK: Tensor) -> Tensor:
    """An empty fp32 tensor with a number a query and head."""
    return q_BHTK.new_empty(q_BHTK.shape[:3], dtype=torch.float32)


def _lined_up(x: Tensor) -> Tensor:
    """With channels side by side; other steps are the kernel's business."""
    return x if x.stride(-1) == 1 else x.contiguous()


def _plain(marks: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if marks is None else marks.to(dtype).contiguous()


def _problem(
    q_BHTK: Tensor,
    k_BJTK: Tensor,
    scale: float,
    slopes_H: Tensor | None,
    documents_BT: Tensor | None,
) -> _Problem:
    batch, heads, length, width = q_BHTK.shape
    marks = (None if each is None else each.data_ptr() for each in (slopes_H, documents_BT))
    return _Problem(batch, heads, k_BJTK.shape[1], length, width, scale, *marks)


def _tensors(*tensors: Tensor) -> ctypes.Array[_Tensor]:
    described = (_Tensor(each.data_ptr(), *each.stride()[:3]) for each in tensors)
    return (_Tensor * len(tensors))(*described)


def _address(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
