"""Causal self-attention: rotary, ALiBi or no positions of its own, grouped key-value heads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from bitnet.nn.blocked_attention import blocked_attention
from bitnet.nn.cpu_attention import cpu_attention
from bitnet.nn.documents import apart
from bitnet.nn.factory import LinearFactory, project
from bitnet.nn.norm import make_norm
from bitnet.nn.position import alibi_slopes, rotate
from bitnet.nn.reading import Reading
from bitnet.nn.shape import ModelShape


class Attention(nn.Module):
    """Multi-head attention; ``attn_sub_norm`` stands before the output projection if asked for.

    Args:
        shape: of the model.
        linear: factory of the projections.
    """

    slopes: Tensor | None

    def __init__(self, shape: ModelShape, linear: LinearFactory) -> None:
        super().__init__()
        self.heads = shape.heads
        self.head_width = shape.head_width
        self.widths = [n * shape.head_width for n in (shape.heads, *2 * [shape.key_value_heads])]
        self.grouped = shape.heads != shape.key_value_heads
        # muP divides by the width, not by its root (Yang et al., 2022, definition 4.1).
        self.scale = 1 / self.head_width if shape.mup_base_dim else self.head_width**-0.5
        queries, keys, values = self.widths
        self.fused = shape.fused_qkv
        if self.fused:
            self.qkv = linear(shape.dim, queries + keys + values)
        else:
            self.q = linear(shape.dim, queries)
            self.k = linear(shape.dim, keys)
            self.v = linear(shape.dim, values)
        self.o = linear(queries, shape.dim)
        self.q_norm = make_norm(shape, queries) if shape.qk_norm else None
        self.k_norm = make_norm(shape, keys) if shape.qk_norm else None
        wants_norm = shape.sub_norm and not linear.norms_inside
        self.attn_sub_norm = make_norm(shape, queries) if wants_norm else None
        slopes = alibi_slopes(shape.heads, shape.alibi_max) if shape.position == "alibi" else None
        self.register_buffer("slopes", slopes, persistent=False)

    def forward(self, x_BTD: Tensor, reading: Reading) -> Tensor:
        """Attend over the sequence (and over what the cache holds)."""
        q, k, v = (y.unflatten(-1, (-1, self.head_width)) for y in self._project(x_BTD, reading))
        if reading.turn is not None:
            q, k = rotate(q, reading.turn), rotate(k, reading.turn)
        q, k, v = (y.transpose(1, 2) for y in (q, k, v))
        if reading.cache is not None:
            k, v = reading.cache.append(self, k, v)
        y_BTD = self._attend(q, k, v, reading).transpose(1, 2).flatten(2)
        normed_BTD = y_BTD if self.attn_sub_norm is None else self.attn_sub_norm(y_BTD)
        out_BTD: Tensor = self.o(normed_BTD, reading)
        return out_BTD

    def _project(self, x_BTD: Tensor, reading: Reading) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, heads side by side."""
        if self.fused:
            q, k, v = self.qkv(x_BTD, reading).split(self.widths, dim=-1)
        else:
            q, k, v = project(x_BTD, (self.q, self.k, self.v), reading)
        q = q if self.q_norm is None else self.q_norm(q)
        return q, k if self.k_norm is None else self.k_norm(k), v

    def _attend(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, reading: Reading) -> Tensor:
        length, seen, documents_BS = q_BHTK.shape[2], k_BHSK.shape[2], reading.documents_BS
        if reading.tiles is not None:
            return self._tiled(q_BHTK, k_BHSK, v_BHSK, reading)
        if torch.compiler.is_compiling() and q_BHTK.device.type == "cpu" and length == seen:
            served = reading.cpu_kernel and self.head_width % 2 == 0
            attend = cpu_attention if served else blocked_attention
            return attend(q_BHTK, k_BHSK, v_BHSK, self.scale, self.slopes, documents_BS)
        mask = self._mask(length, seen, q_BHTK, documents_BS)
        return scaled_dot_product_attention(
            q_BHTK,
            k_BHSK,
            v_BHSK,
            attn_mask=mask,
            is_causal=mask is None and length > 1,
            scale=self.scale,
            enable_gqa=self.grouped,
        )

    def _tiled(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, reading: Reading) -> Tensor:
        """FlexAttention: one kernel that leaves out the tiles in which nothing is seen."""
        from torch.nn.attention.flex_attention import flex_attention  # slow to import

        y_BHTK: Tensor = flex_attention(
            q_BHTK,
            k_BHTK,
            v_BHTK,
            score_mod=None if self.slopes is None else _priced(self.slopes),
            block_mask=reading.tiles,
            scale=self.scale,
            enable_gqa=self.grouped,
        )
        return y_BHTK

    def _mask(
        self, length: int, seen: int, like: Tensor, documents_BS: Tensor | None
    ) -> Tensor | None:
        """Who sees whom and at what price; ``None`` where plain causality says it all."""
        plain = self.slopes is None and documents_BS is None
        if plain and (length == 1 or length == seen):
            return None
        # Row t stands at position seen - length + t and sees everything up to itself.
        rows_T = torch.arange(seen - length, seen, device=like.device)
        ahead_TS = torch.arange(seen, device=like.device) - rows_T[:, None]
        hidden = ahead_TS > 0
        if documents_BS is not None:
            hidden = hidden | apart(documents_BS, length)[:, None]
        if self.slopes is None:
            return ~hidden
        bias_HTS = self.slopes[:, None, None] * ahead_TS
        return bias_HTS.masked_fill(hidden, -torch.inf).to(like.dtype)


def _priced(slopes: Tensor) -> Callable[..., Tensor]:
    """ALiBi as FlexAttention takes it: what becomes of the score of one head, row and column."""

    def price(score: Tensor, _: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return score + slopes[head] * (column - row)

    return price
