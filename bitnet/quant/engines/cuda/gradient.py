"""Input gradients from e4m3 products: the gradient is rounded per row, the ternary operand exact.

``dX = (g @ codes) * w_scale`` sums over the outputs, so a scale for each row of g stands outside of
the sum and can be applied to the result. Rounding g costs, on Gaussian rows, 0.78 % of its rms as
int8 (a grid that is even up to the row's peak) and 2.6 % as e4m3 (three bits of mantissa, down to a
28,000th of the peak). int8 is finer; e4m3 keeps the small entries of heavy-tailed rows, which int8
rounds to nothing. Codes of -1, 0 and 1 are exact in both.

e4m3 runs through ``torch._scaled_mm`` with a scale for each row and column, which needs compute
capability 8.9 and sizes that are multiples of 16, and gives bf16. Everything here is plain torch,
so Inductor fuses the rounding of g with what computes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from bitnet.quant.activation import SMALLEST_GRADIENT

LARGEST_E4M3 = 448.0
_MULTIPLE = 16
_E4M3_SINCE = (8, 9)


def why_not_e4m3(device: torch.device) -> str | None:
    """What keeps e4m3 gradients from running on a device, in one line; none if nothing does."""
    if device.type != "cuda":
        return f"products of e4m3 need CUDA, not {device.type!r}"
    if not torch.cuda.is_available():
        return "there is no CUDA device here"
    capability = torch.cuda.get_device_capability(device)
    if capability < _E4M3_SINCE:
        return f"products of e4m3 need compute capability 8.9, not {capability[0]}.{capability[1]}"
    return None


def e4m3_codes(g: Tensor) -> tuple[Tensor, Tensor]:
    """Rows in e4m3 and their scales, with ``g ~ codes * scale``.

    Args:
        g: gradient ``[rows, outputs]`` of any floating dtype.

    Returns:
        e4m3 codes of the same shape, and fp32 scales ``[rows, 1]`` (``max|g| / 448``).
    """
    wide = g.float()
    peak = wide.abs().amax(dim=-1, keepdim=True).clamp(min=SMALLEST_GRADIENT)
    codes = (wide * (LARGEST_E4M3 / peak)).clamp(-LARGEST_E4M3, LARGEST_E4M3)
    return codes.to(torch.float8_e4m3fn), peak / LARGEST_E4M3


def e4m3_input_gradient(
    grads: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> Tensor:
    """Sum over the weights of ``(e4m3(g) @ codes) * scale``, through ``torch._scaled_mm``.

    Args:
        grads: gradients of the outputs ``[rows, out_i]``, on CUDA.
        codes: int8 codes of the weights ``[out_i, in]``.
        scales: their fp32 scalars.

    Returns:
        Gradient ``[rows, in]`` in the gradients' dtype. Each product is rounded to bf16; several
        are added in fp32.
    """
    parts = [e4m3_product(*each) for each in zip(grads, codes, scales, strict=True)]
    total = parts[0] if len(parts) == 1 else parts[0].float()
    for part in parts[1:]:
        total = total + part
    return total.to(grads[0].dtype)


def e4m3_product(g: Tensor, codes: Tensor, scale: Tensor, fast: bool = False) -> Tensor:
    """``(e4m3(g) @ codes) * scale`` in bf16, on CUDA.

    Args:
        g: gradient of the output ``[rows, out]``.
        codes: int8 codes of the weight ``[out, in]``.
        scale: fp32 scalar of the weight.
        fast: let the tensor cores sum in fewer bits than fp32 (about 14).
    """
    outputs, inputs = codes.shape
    rounded, row_scale = e4m3_codes(g.contiguous())
    # The second operand has to be contiguous along the sum: column by column.
    weight = codes.t().contiguous().to(torch.float8_e4m3fn)
    deeper, wider = -outputs % _MULTIPLE, -inputs % _MULTIPLE
    rounded, weight = _grown(rounded, 0, deeper), _grown(weight, wider, deeper)
    column_scale = scale.expand(1, weight.shape[0]).contiguous()
    dx = torch._scaled_mm(
        rounded,
        weight.t(),
        scale_a=row_scale,
        scale_b=column_scale,
        out_dtype=torch.bfloat16,
        use_fast_accum=fast,
    )
    return dx[:, :inputs]


def emulated_e4m3_input_gradient(
    grads: Sequence[Tensor], codes: Sequence[Tensor], scales: Sequence[Tensor]
) -> Tensor:
    """The same on any device: e4m3 and back, fp32 products, rounded to the gradients' dtype alone.

    What the CUDA path is held against, and a way to see on a CPU what e4m3 does to a loss curve.
    """
    total: Tensor | None = None
    for g, c, scale in zip(grads, codes, scales, strict=True):
        rounded, row_scale = e4m3_codes(g)
        part = (rounded.float() @ c.float()) * (row_scale * scale)
        total = part if total is None else total + part
    assert total is not None
    return total.to(grads[0].dtype)


def _grown(codes: Tensor, rows: int, columns: int) -> Tensor:
    """e4m3 with zeros appended: as bytes, since not every operation knows the dtype."""
    if not (rows or columns):
        return codes
    return pad(codes.view(torch.uint8), (0, columns, 0, rows)).view(torch.float8_e4m3fn)
