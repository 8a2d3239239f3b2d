"""Binary weights: the formula of BitNet b1, its gradient, and every engine against it."""

import pytest
import torch

from bitnet.nn import BitLinear
from bitnet.nn.observe import look_at
from bitnet.quant import (
    binary_codes,
    binary_quantize,
    binary_straight_through,
    int8_quantize,
    pack_ternary,
    unpack_ternary,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_formula(dtype: torch.dtype) -> None:
    weight = (torch.randn(24, 40, generator=torch.Generator().manual_seed(0)) + 0.3).to(dtype)
    wide = weight.float()
    codes, scale = binary_codes(weight)
    assert codes.dtype == torch.int8 and set(codes.unique().tolist()) == {-1, 1}
    assert torch.equal(codes > 0, wide > wide.mean())
    torch.testing.assert_close(scale, wide.abs().mean())
    assert binary_quantize(weight).dtype == dtype
    assert torch.equal(unpack_ternary(pack_ternary(codes), codes.shape), codes)


def test_a_weight_at_the_mean_has_no_sign() -> None:
    codes, scale = binary_codes(torch.tensor([[1.0, 2.0, 3.0]]))
    assert codes.tolist() == [[-1, 0, 1]] and scale.item() == 2.0
    assert binary_codes(torch.zeros(2, 2))[1].item() == pytest.approx(1e-5)


def test_gradient_is_the_identity() -> None:
    weight = torch.randn(5, 7, requires_grad=True)
    grad = torch.randn(5, 7)
    binary_straight_through(weight).backward(grad)
    assert torch.equal(weight.grad, grad)


@pytest.mark.parametrize("engine", ["int8", "reference", "auto"])
def test_engines(engine: str) -> None:
    torch.manual_seed(0)
    layer = BitLinear(40, 24, kind="binary", engine=engine)
    x = torch.randn(3, 5, 40, requires_grad=True)
    y = layer(x)
    x_q, w_q = int8_quantize(x.detach()), binary_quantize(layer.weight.detach())
    torch.testing.assert_close(y, x_q @ w_q.T, rtol=1e-5, atol=1e-6)
    grad = torch.randn(y.shape)
    y.backward(grad)
    torch.testing.assert_close(x.grad, grad @ w_q, rtol=1e-5, atol=1e-6)
    expected = grad.flatten(0, 1).T @ x_q.flatten(0, 1)
    torch.testing.assert_close(layer.weight.grad, expected, rtol=1e-5, atol=1e-5)


def test_the_monitor_sees_two_values() -> None:
    look = look_at(BitLinear(40, 24, kind="binary"))
    assert look.zero == 0.0 and look.minus + look.plus == pytest.approx(1.0)
