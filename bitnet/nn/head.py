"""From the residual stream to logits, or straight to the loss.

The loss of every token keeps one set of logits in the compute dtype for backward and does its
arithmetic in fp32, so nothing of the size tokens x vocabulary is ever held in fp32 when compiled.
Where even one set is too much, the mean loss is made in chunks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import linear

from bitnet.nn.chunked_loss import chunk_rows, chunked_loss, equal_chunks
from bitnet.nn.linear import DenseLinear
from bitnet.nn.mup import logit_multiplier
from bitnet.nn.norm import make_norm
from bitnet.nn.shape import ModelShape


class Head(nn.Module):
    """Final norm and output projection, full precision; it owns a table only if untied.

    Args:
        shape: of the model.
    """

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.weight: nn.Parameter | None
        self.norm = make_norm(shape, shape.dim)
        widens = shape.embedding_dim is not None
        self.out = DenseLinear(shape.dim, shape.table_width) if widens else None
        table = None if shape.tie_embeddings else torch.empty(shape.vocabulary, shape.table_width)
        self.register_parameter("weight", None if table is None else nn.Parameter(table))
        self.multiplier = logit_multiplier(shape)
        self.compiled = False

    def compile_parts(self, mode: str) -> None:
        """Compile the head as a whole, and by parts for the loss in chunks.

        Args:
            mode: of ``torch.compile``.
        """
        self.compile(mode=mode)
        for part in (self.norm, self.out):
            if part is not None:
                part.compile(mode=mode)
        self.compiled = True

    def loss(
        self, x_BTD: Tensor, embedding_VE: Tensor, targets_BT: Tensor, chunk: int | None
    ) -> tuple[Tensor, Tensor]:
        """Mean loss, a scalar, and without gradient that of each token, ``[B, T]``; in nats.

        Args:
            x_BTD: what the blocks made.
            embedding_VE: the table of a head that has none of its own.
            targets_BT: tokens to be predicted.
            chunk: tokens whose logits exist at once; ``None``: all while they are few; 0: all.
        """
        rows = targets_BT.numel()
        table_VE = embedding_VE if self.weight is None else self.weight
        if chunk is None:
            chunk = chunk_rows(rows, table_VE.shape[0], x_BTD.dtype, x_BTD.device)
            chunk = 0 if chunk == rows else chunk
        if chunk == 0:
            nll_BT: Tensor = self(x_BTD, embedding_VE, targets_BT)
            return nll_BT.mean(), nll_BT.detach()
        x_NE, targets_N = self._read(x_BTD).flatten(0, 1), targets_BT.flatten()
        chunk = equal_chunks(rows, chunk)
        mean, nll_N = chunked_loss(x_NE, table_VE, targets_N, chunk, self.compiled)
        return mean, nll_N.view(targets_BT.shape)

    def forward(
        self, x_BTD: Tensor, embedding_VE: Tensor, targets_BT: Tensor | None = None
    ) -> Tensor:
        """Logits ``[B, T, V]`` in fp32, or with targets the loss of each, ``[B, T]`` in nats."""
        table_VE = embedding_VE if self.weight is None else self.weight
        x_BTE = self._read(x_BTD)
        logits_BTV = linear(x_BTE, table_VE.to(x_BTE.dtype))
        if targets_BT is None:
            return logits_BTV.float()
        return token_nll(logits_BTV.flatten(0, 1), targets_BT.flatten()).view_as(targets_BT)

    def _read(self, x_BTD: Tensor) -> Tensor:
        """What is multiplied with the table."""
        x_BTE: Tensor = self.norm(x_BTD) if self.out is None else self.out(self.norm(x_BTD))
        return x_BTE if self.multiplier == 1.0 else x_BTE * self.multiplier


def token_nll(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """Cross entropy of every row against its target token, fp32 ``[N]`` in nats."""
    nll_N: Tensor = _TokenNLL.apply(logits_NV, targets_N)  # type: ignore[no-untyped-call]
    return nll_N


class _TokenNLL(Function):
    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, targets_N: Tensor) -> Tensor:
        wide_NV = logits_NV.float()
        log_total_N = wide_NV.logsumexp(dim=-1)
        ctx.save_for_backward(logits_NV, targets_N, log_total_N)
        return log_total_N - wide_NV.gather(1, targets_N[:, None]).squeeze(1)

    @staticmethod
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor, None]:
        logits_NV, targets_N, log_total_N = ctx.saved_tensors
        share_NV = (logits_NV.float() - log_total_N[:, None]).exp()
        # A comparison, not a scatter: the same bits on every run, and it fuses.
        tokens_V = torch.arange(logits_NV.shape[1], device=logits_NV.device)
        hit_NV = targets_N[:, None] == tokens_V
        return ((share_NV - hit_NV.float()) * grad_N[:, None]).to(logits_NV.dtype), None
