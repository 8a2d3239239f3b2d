"""The quantisers against the paper's formula, number by number."""

import pytest
import torch

from bitnet.quant import (
    absmean,
    int8_codes,
    int8_quantize,
    int8_straight_through,
    ternary_codes,
    ternary_quantize,
    ternary_straight_through,
)


def test_ternary_by_hand() -> None:
    # mean|W| = 2; W/2 = -1.5, -0.5, 0.5, 1.5, 0, 2 -> ties to even, then clamped.
    weight = torch.tensor([[-3.0, -1.0, 1.0], [3.0, 0.0, 4.0]])
    codes, scale = ternary_codes(weight)
    assert scale.item() == absmean(weight).item() == 2.0
    assert codes.tolist() == [[-1, 0, 0], [1, 0, 1]]
    assert codes.dtype == torch.int8
    assert scale.dtype == torch.float32


def test_ternary_equals_the_paper() -> None:
    weight = torch.randn(64, 48, generator=torch.Generator().manual_seed(0)) * 0.02
    s = 1.0 / weight.abs().mean().clamp(min=1e-5)
    paper = (weight * s).round().clamp(-1, 1) / s
    torch.testing.assert_close(ternary_quantize(weight), paper, rtol=1e-6, atol=0)
    assert 0.29 < (paper == 0).float().mean().item() < 0.33  # N(0, s): 31 % zeros


def test_ternary_arithmetic_is_fp32_for_bf16_weights() -> None:
    weight = torch.randn(64, 48, generator=torch.Generator().manual_seed(0)).bfloat16()
    codes, scale = ternary_codes(weight)
    wide_codes, wide_scale = ternary_codes(weight.float())
    assert torch.equal(codes, wide_codes)
    assert torch.equal(scale, wide_scale)


def test_all_zero_weight_and_input_stay_zero() -> None:
    codes, scale = ternary_codes(torch.zeros(4, 4))
    assert not codes.any()
    assert scale.item() == pytest.approx(1e-5)
    x_codes, x_scale = int8_codes(torch.zeros(2, 4))
    assert not x_codes.any()
    torch.testing.assert_close(x_scale, torch.full((2, 1), 1e-5 / 127))


def test_int8_by_hand() -> None:
    # max = 254 -> s = 0.5; 127*0.5 = 63.5 and 125*0.5 = 62.5 are ties.
    x = torch.tensor([[254.0, 127.0, 125.0, -254.0, 1.0, -3.0]])
    codes, scale = int8_codes(x)
    assert codes.tolist() == [[127, 64, 62, -127, 0, -2]]
    assert scale.tolist() == [[2.0]]


def test_int8_is_per_token_and_equals_the_paper() -> None:
    x = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(1)) * 7
    s = 127 / x.abs().max(dim=-1, keepdim=True).values.clamp(min=1e-5)
    paper = (x * s).round().clamp(-128, 127) / s
    codes, scale = int8_codes(x)
    assert scale.shape == (3, 5, 1)
    assert torch.equal(codes.float(), (x * s).round())
    torch.testing.assert_close(int8_quantize(x), paper, rtol=1e-6, atol=0)


def test_straight_through_value_is_quantised_and_gradient_is_identity() -> None:
    generator = torch.Generator().manual_seed(2)
    for through, plain in (
        (ternary_straight_through, ternary_quantize),
        (int8_straight_through, int8_quantize),
    ):
        x = torch.randn(8, 16, generator=generator, requires_grad=True)
        g = torch.randn(8, 16, generator=generator)
        y = through(x)
        y.backward(g)
        assert torch.equal(y, plain(x.detach()))
        assert torch.equal(x.grad, g)
