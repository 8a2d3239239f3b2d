"""CUDA's part in the int8 engines: kernels for the products' ops, and which one to take.

Importing this touches neither Triton nor the device, so it can be imported anywhere. ``register``
attaches the kernels to the ops; ``why_not`` says where they cannot run. The rest: the Triton
kernels (``gemm_kernels.py``, ``helper_kernels.py``, ``row_kernels.py``) and their launches
(``scaled_mm.py``, ``rows.py``), the library's product (``int_mm.py``), the choice between them by
measurement (``ways.py``, ``stopwatch.py``, ``ledger.py``, ``chooser.py``), and input gradients in
e4m3 (``gradient.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from bitnet.quant.engines.cuda.operands import Operands, operands_of

__all__ = [
    "codes_of",
    "describe",
    "product",
    "product_through",
    "products",
    "register",
    "served_by",
    "why_not",
]

# The first tensor cores that multiply int8.
_INT8_SINCE = (7, 5)


def why_not(device: torch.device, n: int, k: int) -> str | None:
    """What keeps the int8 product from running, in one line; none if nothing does.

    Args:
        device: where the weight is.
        n: rows of the weight (outputs); any number.
        k: columns of it (inputs); at most 132,000, past which fp32 no longer holds every sum.
    """
    if device.type != "cuda":
        return f"{device.type!r} is no CUDA device"
    if torch.version.hip is not None:
        return "the int8 kernels were written for NVIDIA GPUs and never tried on AMD's"
    if not torch.cuda.is_available():
        return "there is no CUDA device here"
    capability = torch.cuda.get_device_capability(device)
    if capability < _INT8_SINCE:
        return f"int8 needs compute capability 7.5, not {capability[0]}.{capability[1]}"
    return why_not_shape(n, k)


def why_not_shape(n: int, k: int) -> str | None:
    """The part of :func:`why_not` that no device has a say in."""
    largest_k = 2**24 // 127
    if n < 1 or not 1 <= k <= largest_k:
        return f"a weight must have 1 or more rows and 1 to {largest_k} columns, not {n}x{k}"
    return None


def served_by() -> str:
    """Who makes the products, for a line that tells people what runs."""
    from bitnet.quant.engines.cuda.int_mm import has_triton

    if has_triton():
        return "by Triton's kernels or torch._int_mm, whichever is faster for the shape"
    return "by torch._int_mm (Triton is not installed)"


def product(
    x_codes: Tensor, x_scale: Tensor, w_codes: Tensor, w_scale: Tensor, dtype: torch.dtype
) -> Tensor:
    """``(x_codes @ w_codes.T) * (x_scale * w_scale)``, by whatever is fastest for the shape.

    Args:
        x_codes: int8 ``[M, K]``.
        x_scale: fp32 ``[M, 1]``.
        w_codes: int8 ``[N, K]``.
        w_scale: fp32 scalar.
        dtype: of the result: bf16, fp16 or fp32.

    Returns:
        ``[M, N]`` in ``dtype``: the exact sum in fp32, scaled and rounded once.

    Raises:
        ValueError: operands of other dtypes or shapes.
    """
    return _chosen(operands_of([x_codes], [x_scale], [w_codes], [w_scale], dtype))


def products(
    x_codes: Tensor,
    x_scale: Tensor,
    w_codes: Sequence[Tensor],
    w_scales: Sequence[Tensor],
    dtype: torch.dtype,
) -> list[Tensor]:
    """:func:`product` with every weight that reads the input."""
    return [
        product(x_codes, x_scale, codes, scale, dtype)
        for codes, scale in zip(w_codes, w_scales, strict=True)
    ]


def product_through(
    g_codes: Sequence[Tensor],
    g_scales: Sequence[Tensor],
    w_codes: Sequence[Tensor],
    w_scales: Sequence[Tensor],
    dtype: torch.dtype,
) -> Tensor:
    """Sum over the weights of ``(g_codes @ w_codes) * (g_scale * w_scale)``: an input gradient.

    The weights are transposed first, since tensor cores take int8 only with both operands
    contiguous along the sum. That passes over the codes once, a few percent of the product.

    Args:
        g_codes: int8 ``[M, N_i]`` each.
        g_scales: fp32 ``[M, 1]`` each.
        w_codes: int8 ``[N_i, K]`` each.
        w_scales: fp32 scalars.
        dtype: of the result: bf16, fp16 or fp32.

    Returns:
        ``[M, K]`` in ``dtype``; the sum is fp32 and rounded once.

    Raises:
        ValueError: operands of other dtypes or shapes.
    """
    return _chosen(operands_of(g_codes, g_scales, [*map(_transposed, w_codes)], w_scales, dtype))


def _transposed(codes: Tensor) -> Tensor:
    from bitnet.quant.engines.cuda.int_mm import has_triton

    if not (has_triton() and codes.is_cuda and codes.numel()):
        return codes.t().contiguous()
    from bitnet.quant.engines.cuda.helper_kernels import transposed_codes

    return transposed_codes(codes.contiguous())


def _chosen(operands: Operands) -> Tensor:
    from bitnet.quant.engines.cuda.chooser import chooser_for

    if not (operands.m and operands.n and all(operands.depths)):
        return operands.new_result().zero_()
    return chooser_for(operands.device)(operands)


def codes_of(x: Tensor, smallest_peak: float) -> tuple[Tensor, Tensor] | None:
    """Codes and scales of CUDA rows in one pass, for eager code; none where that cannot be done.

    Args:
        x: activations or gradients ``[..., features]``.
        smallest_peak: what a row's ``max|x|`` is raised to.

    Returns:
        What ``quant.activation`` computes, bit for bit; or none where its formula is the way to go:
        while a graph is traced (Inductor fuses it), for tensors without memory (a plan's), without
        Triton, and for rows too wide for it.
    """
    from bitnet.quant.engines.cuda.int_mm import has_triton

    real = type(x) is Tensor and not x.is_meta and not torch.compiler.is_compiling()
    if not (real and x.is_cuda and has_triton()):
        return None
    from bitnet.quant.engines.cuda.rows import WIDEST_ROW, int8_codes_cuda

    fits = x.numel() > 0 and x.shape[-1] <= WIDEST_ROW
    return int8_codes_cuda(x, smallest_peak) if fits else None


@cache
def register() -> None:
    """Make ``products`` the CUDA kernel of the op in ``engines/product.py``; once a process."""
    from bitnet.quant.engines.product import scaled_products

    scaled_products.register_kernel("cuda")(products)


def describe(
    device: torch.device, m: int, n: int, depths: Sequence[int], dtype: torch.dtype
) -> str:
    """Which kernel serves a product, with its measured time, in one line.

    Args:
        device: where it runs.
        m: rows of the input.
        n: columns of the result.
        depths: lengths of the sums: one, or one for each weight of an input gradient.
        dtype: of the result.
    """
    from bitnet.quant.engines.cuda.chooser import chooser_for

    return chooser_for(device).describe(m, n, depths, dtype)
