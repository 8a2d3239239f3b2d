"""Attention in blocks of rows against PyTorch's own, forward and backward."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from bitnet.nn.blocked_attention import _blocks, blocked_attention


@pytest.mark.parametrize(("length", "kv_heads"), [(1, 4), (100, 4), (128, 2), (300, 1), (1100, 4)])
def test_agrees_with_sdpa(length: int, kv_heads: int) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v, grad = (
        torch.randn(2, heads, length, 8, generator=generator)
        for heads in (4, kv_heads, kv_heads, 4)
    )
    leaves = [x.requires_grad_() for x in (q, k, v)]
    got = blocked_attention(*leaves, 8**-0.5)
    expected = scaled_dot_product_attention(*leaves, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    pairs = zip(
        torch.autograd.grad(got, leaves, grad),
        torch.autograd.grad(expected, leaves, grad),
        strict=True,
    )
    for a, b in pairs:
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_bf16_stays_near_fp32() -> None:
    """Scores are rounded to bf16 once (2^-9 of their size): under 1 % of the output's rms."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 256, 32, generator=generator).bfloat16() for _ in range(3))
    exact = scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=True)
    error = blocked_attention(q, k, v, 32**-0.5).float() - exact
    assert error.norm() < 1e-2 * exact.norm()


@pytest.mark.parametrize("length", [1, 127, 128, 129, 1024, 1025, 4096])
def test_blocks_cover_every_row_once(length: int) -> None:
    blocks = _blocks(length)
    assert [row for start, end in blocks for row in range(start, end)] == list(range(length))
    assert len(blocks) <= 8
