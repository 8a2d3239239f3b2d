"""Which kernel attends: said before training, because the slow one gives the same numbers.

On a GPU ``scaled_dot_product_attention`` chooses among fused kernels by head width, dtype and mask,
and falls back in silence to plain products, which hold all T x T scores.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bitnet.nn.begin import can_be_tiled
from bitnet.nn.cpu_attention import serves
from bitnet.nn.linear_spec import LinearSpec
from bitnet.nn.shape import ModelShape

_NAMES = {1: "flash", 2: "memory-efficient", 3: "cuDNN"}
"""The fused members of ``torch.nn.attention.SDPBackend``."""


class AttentionKernel(NamedTuple):
    """``name`` for people; ``fused``: nothing of size T x T is kept for backward."""

    name: str
    fused: bool


def attention_kernel(
    shape: ModelShape,
    linear: LinearSpec,
    dtype: torch.dtype,
    device: torch.device,
    length: int,
    document_mask: bool,
    compiled: bool,
) -> AttentionKernel:
    """What will attend in training passes over sequences of ``length`` tokens.

    Args:
        shape: of the model.
        linear: what it is made of.
        dtype: of its products.
        device: where they run; it has to be there.
        length: of the sequences.
        document_mask: documents are kept apart.
        compiled: blocks are.
    """
    if compiled and device.type == "cpu":
        served = serves(dtype) and shape.head_width % 2 == 0
        return AttentionKernel("AVX-512 kernel" if served else "blocks of rows, compiled", True)
    if compiled and document_mask and can_be_tiled(shape, linear):
        return AttentionKernel("FlexAttention, tiles of one document", True)
    number = _sdpa_choice(shape, dtype, device, length, document_mask)
    if number in _NAMES:
        return AttentionKernel(f"scaled_dot_product_attention, {_NAMES[number]}", True)
    return AttentionKernel("scaled_dot_product_attention, plain products (math)", False)


def _sdpa_choice(
    shape: ModelShape, dtype: torch.dtype, device: torch.device, length: int, document_mask: bool
) -> int:
    """PyTorch's own answer for inputs like those of one sequence."""

    def like(heads: int) -> Tensor:
        size = (1, heads, length, shape.head_width)
        return torch.empty(size, dtype=dtype, device=device, requires_grad=True)

    q_BHTK, k_BHTK, mask = like(shape.heads), like(shape.key_value_heads), None
    if shape.position == "alibi":
        mask = torch.zeros(shape.heads, length, length, dtype=dtype, device=device)
    elif document_mask:
        mask = torch.ones(1, 1, length, length, dtype=torch.bool, device=device)
    # Private, but the only one that tells which is taken and not just which could be.
    return int(
        torch._fused_sdp_choice(
            q_BHTK,
            k_BHTK,
            k_BHTK,
            mask,
            is_causal=mask is None,
            enable_gqa=shape.heads != shape.key_value_heads,
        )
    )
