"""The other way to the same numbers: the library's int8 product, and its scales in a second pass.

``torch._int_mm`` (cuBLASLt) writes the whole int32 product to memory, 4 bytes where bf16 takes 2,
to be read again and scaled. It stands beside the Triton kernels because a library's product may be
so much faster that the detour pays; the measurement decides. It asks for more than 16 rows and for
other sizes that are multiples of 8; zeros are appended where they are not.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from bitnet.quant.engines.cuda.operands import Operands, Part, grown

_FEWEST_ROWS = 32
# Multiples of 16 rather than 8: the faster kernels of the library want aligned rows.
_MULTIPLE = 16


@cache
def has_triton() -> bool:
    """Whether Triton can be imported; every CUDA build of torch for Linux brings it along."""
    return find_spec("triton") is not None


def multiply_by_library(operands: Operands) -> Tensor:
    """The product by ``torch._int_mm``; any shape, any number of parts.

    Args:
        operands: with at least one row and column.

    Returns:
        ``[M, N]`` in the dtype that the operands ask for.
    """
    first, *others = operands.parts
    if not others:
        return _scaled(first, operands.dtype)
    total = _scaled(first, torch.float32)
    for part in others:
        total += _scaled(part, torch.float32)
    return total.to(operands.dtype)


def _scaled(part: Part, dtype: torch.dtype) -> Tensor:
    total = _sums(part)
    if has_triton() and total.is_cuda and total.is_contiguous():
        from bitnet.quant.engines.cuda.helper_kernels import scaled_sums

        return scaled_sums(total, part.x_scale, part.w_scale, dtype)
    return (total.float() * (part.x_scale.view(-1, 1) * part.w_scale)).to(dtype)


def _sums(part: Part) -> Tensor:
    """int32 ``[M, N]``; a view of a larger product where columns had to be appended."""
    (m, k), n = part.x_codes.shape, part.w_codes.shape[0]
    x = grown(part.x_codes, max(0, _FEWEST_ROWS - m), -k % _MULTIPLE)
    w = grown(part.w_codes, -n % _MULTIPLE, -k % _MULTIPLE)
    return torch._int_mm(x, w.t())[:m, :n]
