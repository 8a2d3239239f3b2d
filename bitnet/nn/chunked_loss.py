"""The mean loss without the logits of all tokens: a chunk of rows at a time, gradients at once.

With 50,000 words and 32,000 tokens the logits of a pass take 3 GB in bf16, and plain code keeps
them till backward. But for a mean, the gradient of every logit is known as soon as the logit is:
``(softmax - hit) / tokens``. So forward makes a chunk's logits, turns them in place into their
gradients, and multiplies these into the gradients of hidden states and table; backward only scales
those by the gradient of the mean. That is the same three products as ever, and the logits of one
chunk. The table's gradient exists from forward on, in fp32, where chunks add up in order: the same
bits on every run.

Making gradients in forward is the idea of Liger kernels (Hsu et al., 2024, arXiv 2410.10989).
"""

from __future__ import annotations

from functools import cache as run_once
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

_CHUNK_BYTES = {"cpu": 2**28, "cuda": 2**30}
"""Logits of a chunk, in the compute dtype. The table's gradient is read and written once a chunk,
which costs less than a twentieth of the products from about 1,000 rows on CPU (measured) and 6,000
on an H200 (by its data sheet); these sizes give twice that for a vocabulary of 50,000."""

_WORTHWHILE = 256  # rows: fewer a chunk, and the table's traffic costs more than the products


def chunk_rows(rows: int, vocabulary: int, dtype: torch.dtype, device: torch.device) -> int:
    """How many rows to take at once, in equal chunks; ``rows`` if all logits together are few."""
    budget = _CHUNK_BYTES.get(device.type, _CHUNK_BYTES["cuda"])
    most = max(_WORTHWHILE, budget // (vocabulary * dtype.itemsize))
    return equal_chunks(rows, most)


def equal_chunks(rows: int, most: int) -> int:
    """The size of the fewest equal chunks of at most ``most`` rows; the last may be smaller."""
    return -(-rows // -(-rows // most))


def chunked_loss(
    x_NE: Tensor, table_VE: Tensor, targets_N: Tensor, chunk: int, compiled: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean cross entropy of ``softmax(x table')`` and, without gradient, that of every row.

    Products run in x's dtype; all else in fp32 (fp64 where x is).

    Args:
        x_NE: hidden states; ``N`` at least 1.
        table_VE: fp32 output table; cast to x's dtype for its products.
        targets_N: the right row of the table for each.
        chunk: rows whose logits exist at once.
        compiled: whether the work between the products goes through ``torch.compile``.

    Returns:
        The mean, a scalar, through which backward can go once; and nats of each row, ``[N]``.
    """
    if torch.is_grad_enabled():
        mean, nll_N = _ChunkedLoss.apply(x_NE, table_VE, targets_N, chunk, compiled)  # type: ignore[no-untyped-call]
        return mean, nll_N
    nll_N = _Chunks(x_NE, table_VE, chunk, compiled).losses(targets_N)
    return nll_N.mean(), nll_N


class _ChunkedLoss(Function):
    @staticmethod
    def forward(
        ctx: Any, x_NE: Tensor, table_VE: Tensor, targets_N: Tensor, chunk: int, compiled: bool
    ) -> tuple[Tensor, Tensor]:
        chunks = _Chunks(x_NE, table_VE, chunk, compiled)
        chunks.want_gradients(*ctx.needs_input_grad[:2])
        nll_N = chunks.losses(targets_N)
        ctx.gradients = [chunks.dx_NE, chunks.dtable_VE]
        ctx.table_dtype = table_VE.dtype
        ctx.mark_non_differentiable(nll_N)
        return nll_N.mean(), nll_N

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.gradients is None:
            raise RuntimeError(
                "a chunked loss goes backward once: its gradients are scaled in place"
            )
        dx_NE, dtable_VE = (None if x is None else _scaled(x, grad) for x in ctx.gradients)
        ctx.gradients = None
        return dx_NE, None if dtable_VE is None else dtable_VE.to(ctx.table_dtype), None, None, None


def _scaled(gradient: Tensor, by: Tensor) -> Tensor:
    """In place; on a CPU, where asking is free, a factor of 1 costs nothing."""
    return gradient if by.is_cpu and by.item() == 1 else gradient.mul_(by)


class _Chunks:
    """One pass over the rows; what it makes besides losses is asked for before."""

    def __init__(self, x_NE: Tensor, table_VE: Tensor, chunk: int, compiled: bool) -> None:
        self.x_NE = x_NE.contiguous()
        self.table_VE = table_VE.to(x_NE.dtype)
        self.chunk = chunk
        self.between = _compiled_between() if compiled else _between
        self.wants_table = False
        self.dx_NE: Tensor | None = None
        self.dtable_VE: Tensor | None = None

    def want_gradients(self, of_x: bool, of_table: bool) -> None:
        """Have the gradients of the mean made as well."""
        self.wants_table = of_table
        if of_x:
            self.dx_NE = torch.empty_like(self.x_NE)

    def losses(self, targets_N: Tensor) -> Tensor:
        """Nats of every row."""
        rows, vocabulary = self.x_NE.shape[0], self.table_VE.shape[0]
        # One buffer for all chunks: fresh memory of this size costs a CPU as much as the softmax.
        space_CV = self.x_NE.new_empty(min(self.chunk, rows), vocabulary)
        share = self.x_NE.new_full((), 1 / rows, dtype=_wide(self.x_NE.dtype))
        losses = []
        for start in range(0, rows, self.chunk):
            place = slice(start, min(start + self.chunk, rows))
            logits_CV = space_CV[: place.stop - start]
            torch.mm(self.x_NE[place], self.table_VE.t(), out=logits_CV)
            targets_C = targets_N[place]
            # Not compiled with the rest: torch 2.11 may gather after the logits are overwritten.
            hits_C = logits_CV.gather(1, targets_C[:, None]).squeeze(1)
            losses.append(self.between(logits_CV, hits_C, targets_C, share))
            self._multiply(logits_CV, place)
        return torch.cat(losses)

    def _multiply(self, dlogits_CV: Tensor, place: slice) -> None:
        if self.dx_NE is not None:
            torch.mm(dlogits_CV, self.table_VE, out=self.dx_NE[place])
        if not self.wants_table:
            return
        part_VE = dlogits_CV.t() @ self.x_NE[place]
        if self.dtable_VE is None:
            self.dtable_VE = part_VE.to(_wide(part_VE.dtype))
        else:
            self.dtable_VE += part_VE


def _between(logits_CV: Tensor, hits_C: Tensor, targets_C: Tensor, share: Tensor) -> Tensor:
    """Losses of some rows; their logits become the gradients of ``share`` times the sum of these.

    ``hits`` are the targets' logits. ``d nll / d logit_v = softmax_v - [v is the target]``.
    """
    wide_CV = logits_CV.to(_wide(logits_CV.dtype))
    total_C1 = wide_CV.logsumexp(dim=-1, keepdim=True)
    nll_C = total_C1.squeeze(1) - hits_C
    # A comparison, not a scatter: the same bits on every run, and it fuses.
    words_V = torch.arange(logits_CV.shape[1], device=logits_CV.device)
    hit_CV = (targets_C[:, None] == words_V).to(wide_CV.dtype)
    logits_CV.copy_(((wide_CV - total_C1).exp() - hit_CV) * share)
    return nll_C


@run_once
def _compiled_between() -> Any:
    return torch.compile(_between, dynamic=True)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
