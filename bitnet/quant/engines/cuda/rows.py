"""Quantising activations on CUDA in one pass over memory, with or without the norm before it.

Eager torch takes about ten passes for the same formula. Under ``torch.compile`` these are not used:
there the formula is traced, and Inductor fuses it with whatever stands before.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bitnet.quant.activation import SMALLEST_PEAK
from bitnet.quant.engines.cuda.row_kernels import norm_and_quantise_row, quantise_row

WIDEST_ROW = 32768
"""A row is held in the registers of one program."""


def int8_codes_cuda(x: Tensor, smallest_peak: float = SMALLEST_PEAK) -> tuple[Tensor, Tensor]:
    """Codes and scales of activations; the bits of :func:`bitnet.quant.int8_codes`.

    Args:
        x: activations ``[..., features]``, of at most 32768 features.
        smallest_peak: what a row's ``max|x|`` is raised to; gradients need a smaller one.

    Returns:
        int8 codes of the same shape, and fp32 scales ``[..., 1]``.

    Raises:
        ValueError: rows too wide, or none at all.
    """
    x = x.contiguous()
    codes, scales, options = _prepared(x)
    with torch.cuda.device_of(x):
        quantise_row[(scales.numel(),)](x, codes, scales, x.shape[-1], smallest_peak, **options)
    return codes, scales


def norm_int8_codes_cuda(x: Tensor, gain: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Codes and scales of ``RMSNorm(x)``, which itself is never written to memory.

    The norm's result is rounded to x's dtype before it is quantised, as it is when the two run one
    after the other. Its sum runs in another order than torch's, so a code in many thousands falls
    on the other side of a tie.

    Args:
        x: activations ``[..., features]``, of at most 32768 features.
        gain: of the norm, ``[features]``.
        eps: added to the mean square.

    Returns:
        int8 codes of x's shape, and fp32 scales ``[..., 1]``.

    Raises:
        ValueError: rows too wide or none at all, or a gain of another width.
    """
    x = x.contiguous()
    if gain.shape != x.shape[-1:]:
        raise ValueError(f"a gain of {[*gain.shape]} does not fit rows of {x.shape[-1]}")
    codes, scales, options = _prepared(x)
    with torch.cuda.device_of(x):
        norm_and_quantise_row[(scales.numel(),)](
            x, gain.contiguous(), codes, scales, x.shape[-1], SMALLEST_PEAK, eps, **options
        )
    return codes, scales


def _prepared(x: Tensor) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Room for codes and scales, and how to launch: about 16 bytes of a row a thread."""
    width = x.shape[-1]
    if not 0 < width <= WIDEST_ROW:
        raise ValueError(f"rows must be 1 to {WIDEST_ROW} wide, not {width}")
    if x.numel() == 0:
        raise ValueError("there is no row to quantise")
    block = 1 << (width - 1).bit_length()
    warps = min(16, max(1, block // 256))
    codes = torch.empty_like(x, dtype=torch.int8)
    scales = x.new_empty((*x.shape[:-1], 1), dtype=torch.float32)
    return codes, scales, {"BLOCK": block, "num_warps": warps, "enable_fp_fusion": False}
