"""What a product is made of, and the checks that let a kernel trust it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

OUTPUT_DTYPES = (torch.bfloat16, torch.float16, torch.float32)


class Part(NamedTuple):
    """``(x_codes @ w_codes.T) * (x_scale * w_scale)``.

    Attributes:
        x_codes: int8 ``[M, K]``, contiguous.
        x_scale: fp32 ``[M, 1]``, contiguous.
        w_codes: int8 ``[N, K]``, contiguous.
        w_scale: fp32 scalar, on the device of the codes.
    """

    x_codes: Tensor
    x_scale: Tensor
    w_codes: Tensor
    w_scale: Tensor


class Operands(NamedTuple):
    """A sum of parts with the same M and N, in fp32, rounded to ``dtype`` once."""

    parts: tuple[Part, ...]
    dtype: torch.dtype

    @property
    def device(self) -> torch.device:
        """Where all of it is."""
        return self.parts[0].x_codes.device

    @property
    def m(self) -> int:
        """Rows of the result."""
        return self.parts[0].x_codes.shape[0]

    @property
    def n(self) -> int:
        """Columns of the result."""
        return self.parts[0].w_codes.shape[0]

    @property
    def depths(self) -> tuple[int, ...]:
        """K of each part."""
        return tuple(part.x_codes.shape[1] for part in self.parts)

    def new_result(self) -> Tensor:
        """An unwritten ``[M, N]`` in ``dtype``."""
        return self.parts[0].x_codes.new_empty((self.m, self.n), dtype=self.dtype)


def operands_of(
    x_codes: Sequence[Tensor],
    x_scales: Sequence[Tensor],
    w_codes: Sequence[Tensor],
    w_scales: Sequence[Tensor],
    dtype: torch.dtype,
) -> Operands:
    """Operands that a kernel may read: of the right dtypes and shapes, and contiguous.

    Args:
        x_codes: int8 ``[M, K_i]`` each.
        x_scales: fp32 ``[M, 1]`` each.
        w_codes: int8 ``[N, K_i]`` each.
        w_scales: fp32 scalars.
        dtype: of the result.

    Raises:
        ValueError: a kernel would read what is not there, or write a dtype it does not know.
    """
    if dtype not in OUTPUT_DTYPES:
        raise ValueError(f"int8 product: the result can be bf16, fp16 or fp32, not {dtype}")
    given = zip(x_codes, x_scales, w_codes, w_scales, strict=True)
    parts = tuple(Part(*(tensor.contiguous() for tensor in each)) for each in given)
    wrong = next((problem for part in parts if (problem := _problem(part, parts[0]))), None)
    if wrong or not parts:
        raise ValueError(f"int8 product: {wrong or 'there is nothing to multiply'}")
    return Operands(parts, dtype)


def _problem(part: Part, first: Part) -> str | None:
    x, w = part.x_codes, part.w_codes
    if x.dtype != torch.int8 or w.dtype != torch.int8:
        return f"codes must be int8, not {x.dtype} and {w.dtype}"
    if x.dim() != 2 or w.dim() != 2 or x.shape[1] != w.shape[1]:
        return f"codes must be [M, K] and [N, K], not {[*x.shape]} and {[*w.shape]}"
    if x.shape[0] != first.x_codes.shape[0] or w.shape[0] != first.w_codes.shape[0]:
        return "all parts must have the same number of rows and of columns"
    if part.x_scale.numel() != x.shape[0] or part.w_scale.numel() != 1:
        return "one scale a row of x and one for w are needed"
    if part.x_scale.dtype != torch.float32 or part.w_scale.dtype != torch.float32:
        return "scales must be fp32"
    return None


def with_depth_multiple_of(operands: Operands, multiple: int) -> Operands:
    """The same product with zeros appended along K; the sums do not change.

    Rows of 5460 codes begin at multiples of 4 bytes only, and are read 4 bytes at a time. A copy
    with rows of 5472 costs a pass over the codes and lets 16 be read.
    """
    parts = tuple(
        part._replace(
            x_codes=grown(part.x_codes, 0, -part.x_codes.shape[1] % multiple),
            w_codes=grown(part.w_codes, 0, -part.w_codes.shape[1] % multiple),
        )
        for part in operands.parts
    )
    return operands._replace(parts=parts)


def grown(codes: Tensor, rows: int, columns: int) -> Tensor:
    """With so many rows and columns of zeros appended; itself, not a copy, where none are."""
    pad = torch.nn.functional.pad
    return pad(codes, (0, columns, 0, rows)) if rows or columns else codes
