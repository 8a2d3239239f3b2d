"""How the kernels are called: numbers and addresses for C."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch
from torch import Tensor

from bitnet.native import Library, run_with_scratch

ACTIVATIONS = ("silu", "relu2")
"""Those that there are kernels for, in C's order."""

_LIBRARY = Library("norm", Path(__file__).parent, "bitnet_norms_here", "AVX-512 BF16")


class _Rows(ctypes.Structure):
    """``Rows`` of gated_norm.h."""

    _fields_ = (("data", ctypes.c_void_p), ("step", ctypes.c_int64))


class _Problem(ctypes.Structure):
    """``Problem`` of gated_norm.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("rows", "width")),
        *((name, _Rows) for name in ("gate", "up")),
        ("gain", ctypes.c_void_p),
        ("activation", ctypes.c_int64),
    )


def why_not() -> str | None:
    """Why there are no kernels in this process, or ``None`` if there are."""
    return _LIBRARY.why_not()


def serves(dtype: torch.dtype) -> bool:
    """Whether there are kernels here for rows of this dtype, of any width."""
    return dtype == torch.bfloat16 and why_not() is None


def forward(
    gate: Tensor, up: Tensor, gain_F: Tensor, eps: float, activation: str
) -> tuple[Tensor, Tensor]:
    """The normed product, bf16 ``[..., F]``, and one over each row's rms, fp32 ``[...]``.

    Args:
        gate: bf16 ``[..., F]``.
        up: like the gate.
        gain_F: of the norm, fp32.
        eps: of the norm, added to the mean square.
        activation: of the gate, one of ``ACTIVATIONS``.
    """
    y, inverse_rms = like_rows(gate), like_norms(gate)
    gate, up, gain_F = _lined_up(gate), _lined_up(up), gain_F.contiguous()
    problem = _problem(gate, up, gain_F, activation)
    run_with_scratch(
        _LIBRARY.load().bitnet_gated_norm,
        *(ctypes.byref(problem), ctypes.c_float(eps)),
        *map(_address, (y, inverse_rms)),
    )
    return y, inverse_rms


def backward(
    dy: Tensor,
    d_gain_F: Tensor,
    gate: Tensor,
    up: Tensor,
    gain_F: Tensor,
    inverse_rms: Tensor,
    activation: str,
) -> Tensor:
    """The gradient of gate, bf16 ``[..., F]``; dy becomes that of up.

    Args:
        dy: gradient of the normed product, bf16 ``[..., F]``, contiguous; written over.
        d_gain_F: fp32, contiguous; overwritten with the gradient of the gain.
        gate: as forward had it.
        up: as forward had it.
        gain_F: as forward had it.
        inverse_rms: as :func:`forward` gave it.
        activation: as forward had it.
    """
    assert dy.is_contiguous() and d_gain_F.is_contiguous()
    d_gate = like_rows(gate)
    gate, up, gain_F = _lined_up(gate), _lined_up(up), gain_F.contiguous()
    inverse_rms = inverse_rms.contiguous()
    problem = _problem(gate, up, gain_F, activation)
    run_with_scratch(
        _LIBRARY.load().bitnet_gated_norm_gradient,
        ctypes.byref(problem),
        *map(_address, (inverse_rms, dy, d_gate, d_gain_F)),
    )
    return d_gate


def norm_backward(
    dy: Tensor, d_gain_F: Tensor, x: Tensor, gain_F: Tensor, inverse_rms: Tensor
) -> None:
    """Gradients of ``x * inverse_rms * gain``; dy becomes that of x.

    Args:
        dy: gradient of the result, bf16 ``[..., F]``, contiguous; written over.
        d_gain_F: fp32, contiguous; overwritten with the gradient of the gain.
        x: bf16 ``[..., F]``.
        gain_F: fp32.
        inverse_rms: fp32 ``[..., 1]``, of x.
    """
    assert dy.is_contiguous() and d_gain_F.is_contiguous()
    x, gain_F, inverse_rms = x.contiguous(), gain_F.contiguous(), inverse_rms.contiguous()
    run_with_scratch(
        _LIBRARY.load().bitnet_norm_gradient,
        *map(_address, (x, gain_F, inverse_rms)),
        *map(ctypes.c_int64, (x.numel() // x.shape[-1], x.shape[-1])),
        *map(_address, (dy, d_gain_F)),
    )


def like_rows(x: Tensor) -> Tensor:
    """An empty contiguous tensor of x's shape."""
    return x.new_empty(x.shape)


def like_norms(x: Tensor) -> Tensor:
    """An empty fp32 tensor with a number a row."""
    return x.new_empty(x.shape[:-1], dtype=torch.float32)


def _lined_up(x: Tensor) -> Tensor:
    """``[rows, F]``, columns side by side, rows at any one distance; a copy only if need be."""
    x = x if x.stride(-1) == 1 else x.contiguous()
    return x.reshape(x.numel() // x.shape[-1], x.shape[-1])


def _problem(gate_NF: Tensor, up_NF: Tensor, gain_F: Tensor, activation: str) -> _Problem:
    rows = (_Rows(each.data_ptr(), each.stride(0)) for each in (gate_NF, up_NF))
    return _Problem(*gate_NF.shape, *rows, gain_F.data_ptr(), ACTIVATIONS.index(activation))


def _address(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
