"""Causal self-attention with rotary positions and grouped key-value heads."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from bitnet.nn.blocked_attention import blocked_attention
from bitnet.nn.cache import LayerCache
from bitnet.nn.factory import LinearFactory, project
from bitnet.nn.norm import RMSNorm
from bitnet.nn.position import Rotation, rotate
from bitnet.nn.shape import ModelShape


class Attention(nn.Module):
    """Multi-head attention; ``attn_sub_norm`` stands before the output projection if asked for.

    Args:
        shape: of the model.
        linear: factory of the four projections.
    """

    def __init__(self, shape: ModelShape, linear: LinearFactory) -> None:
        super().__init__()
        self.head_width = shape.head_width
        queries = shape.heads * shape.head_width
        keys = shape.key_value_heads * shape.head_width
        self.grouped = shape.heads != shape.key_value_heads
        self.q = linear(shape.dim, queries)
        self.k = linear(shape.dim, keys)
        self.v = linear(shape.dim, keys)
        self.o = linear(queries, shape.dim)
        wants_norm = shape.sub_norm and not linear.norms_inside
        self.attn_sub_norm = RMSNorm(queries, shape.norm_eps) if wants_norm else None

    def forward(self, x_BTD: Tensor, turn: Rotation, cache: LayerCache | None = None) -> Tensor:
        """Attend over the sequence (and over what the cache holds)."""
        q, k, v = (
            y.unflatten(-1, (-1, self.head_width)) for y in project(x_BTD, (self.q, self.k, self.v))
        )
        q, k, v = (y.transpose(1, 2) for y in (rotate(q, turn), rotate(k, turn), v))
        if cache is not None:
            k, v = cache.append(k, v)
        y_BTD = self._attend(q, k, v).transpose(1, 2).flatten(2)
        normed_BTD = y_BTD if self.attn_sub_norm is None else self.attn_sub_norm(y_BTD)
        out_BTD: Tensor = self.o(normed_BTD)
        return out_BTD

    def _attend(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor) -> Tensor:
        length, seen = q_BHTK.shape[2], k_BHSK.shape[2]
        if torch.compiler.is_compiling() and q_BHTK.device.type == "cpu" and length == seen:
            return blocked_attention(q_BHTK, k_BHSK, v_BHSK)
        mask = None
        if 1 < length < seen:
            # Row t stands at position seen - length + t and sees everything up to itself.
            mask = torch.ones(length, seen, dtype=torch.bool, device=q_BHTK.device)
            mask = mask.tril(seen - length)
        return scaled_dot_product_attention(
            q_BHTK,
            k_BHSK,
            v_BHSK,
            attn_mask=mask,
            is_causal=length == seen and length > 1,
            enable_gqa=self.grouped,
        )
