"""Quantisation by degrees: dense at 0, the exact engine at 1, a straight line between."""

import pytest
import torch

from bitnet.nn import BitLinear, LinearSpec, Transformer
from bitnet.quant import int8_quantize, select_engine, ternary_quantize
from tests.nn.families import SHAPES

pytestmark = pytest.mark.usefixtures("fresh_compiler")


def pair(kind: str) -> tuple[Transformer, Transformer]:
    models = []
    for linear in (kind, "dense"):
        torch.manual_seed(0)
        models.append(Transformer(SHAPES["bitnet"], LinearSpec(linear)))
    return models[0], models[1]


TOKENS = torch.randint(0, 101, (2, 12), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["bitnet", "binary"])
def test_ends(kind: str) -> None:
    model, dense = pair(kind)
    whole = model(TOKENS)
    model.set_quantization(0.0)
    torch.testing.assert_close(model(TOKENS), dense(TOKENS), rtol=1e-5, atol=1e-6)
    model.set_quantization(1.0)
    assert torch.equal(model(TOKENS), whole)
    # Just before the end the blend is the reference formula to rounding (codes may flip).
    model.set_quantization(1.0 - 1e-6)
    assert (model(TOKENS) - whole).norm() < 3e-2 * whole.norm()
    with pytest.raises(ValueError, match="between 0 and 1"):
        model.set_quantization(1.5)


def test_operands_and_gradients_between() -> None:
    torch.manual_seed(0)
    layer = BitLinear(16, 8)
    layer.set_quantization(0.25)
    x = torch.randn(5, 16, requires_grad=True)
    y = layer(x)
    x_s = (0.75 * x + 0.25 * int8_quantize(x)).detach()
    w_s = (0.75 * layer.weight + 0.25 * ternary_quantize(layer.weight)).detach()
    torch.testing.assert_close(y, x_s @ w_s.T)
    grad = torch.randn(5, 8)
    y.backward(grad)
    torch.testing.assert_close(x.grad, grad @ w_s)
    torch.testing.assert_close(layer.weight.grad, grad.T @ x_s)


def test_a_compiled_model_follows() -> None:
    model, _ = pair("bitnet")
    compiled, _ = pair("bitnet")
    compiled.compile_blocks()
    for share in (0.1, 0.6, 1.0):
        model.set_quantization(share)
        compiled.set_quantization(share)
        a, b = (m.nll(TOKENS[:, :-1], TOKENS[:, 1:]) for m in (model, compiled))
        torch.testing.assert_close(a, b, rtol=2e-2, atol=2e-2)
    assert len({layer.engine() for layer in compiled.ternary_layers().values()}) == 1


def test_the_share_follows_the_layer_and_goes_with_copies() -> None:
    import copy

    layer = BitLinear(16, 8)
    layer.set_quantization(0.5)
    x = torch.randn(3, 16)
    expected = layer(x)
    torch.testing.assert_close(copy.deepcopy(layer)(x), expected)
    torch.testing.assert_close(layer.to(torch.float64).to(torch.float32)(x), expected)
    layer.set_quantization(1.0)
    assert layer.engine() is select_engine("auto", layer.weight.device, (8, 16))
