"""Our numbers against two published implementations of the same quantisers."""

import pytest
import torch
from torch import nn

from bitnet.quant import int8_engine, int8_quantize, ternary_codes, ternary_quantize


@pytest.fixture
def operands() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(6, 64, generator=generator)
    weight = torch.randn(32, 64, generator=generator) * 0.02
    return x, weight, torch.randn(6, 32, generator=generator)


def _ours(
    x: torch.Tensor, weight: torch.Tensor, grad: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    codes, scale = ternary_codes(weight.detach())
    (y,) = int8_engine(x, [weight], [codes], [scale])
    y.backward(grad)
    return y.detach(), x.grad, weight.grad


def _close(pairs: list[tuple[torch.Tensor, torch.Tensor]], bound: float) -> None:
    for got, expected in pairs:
        assert (got - expected).norm() <= bound * expected.norm()


def test_transformers_online(operands: tuple[torch.Tensor, ...]) -> None:
    """Same formula in fp32; dequantised operands summed in another order: a few 1e-7."""
    peer = pytest.importorskip("transformers.integrations.bitnet")
    x, weight, grad = operands
    # The undecorated functions: their torch.compile is not what is under test.
    weight_quant, act_quant = (
        getattr(f.forward, "_torchdynamo_orig_callable", f.forward)
        for f in (peer.WeightQuant, peer.ActQuant)
    )
    _close([(ternary_quantize(weight), weight_quant(None, weight))], 1e-6)
    _close([(int8_quantize(x), act_quant(None, x))], 1e-6)
    layer = peer.AutoBitLinear(64, 32, bias=False, online_quant=True)
    layer.weight.data.copy_(weight)
    x_leaf = x.clone().requires_grad_()
    with torch.compiler.set_stance("force_eager"):
        y = layer(x_leaf)
        y.backward(grad)
    _close(list(zip(_ours(*operands), (y, x_leaf.grad, layer.weight.grad), strict=True)), 1e-5)


def test_torchao_training(operands: tuple[torch.Tensor, ...]) -> None:
    """It divides where the paper multiplies by a reciprocal and rounds row scales to x's dtype.

    On fp32 input nothing is rounded to bf16, and no code of this input lies on a tie: 1e-5.
    """
    peer = pytest.importorskip("torchao.prototype.quantized_training.bitnet")
    x, weight, grad = operands
    layer = nn.Linear(64, 32, bias=False)
    layer.weight = nn.Parameter(peer.BitNetTrainingLinearWeight(weight.clone()))
    x_leaf = x.clone().requires_grad_()
    y = layer(x_leaf)
    y.backward(grad)
    _close(list(zip(_ours(*operands), (y, x_leaf.grad, layer.weight.grad), strict=True)), 1e-5)


def test_torchao_in_bf16(operands: tuple[torch.Tensor, ...]) -> None:
    """There both scales are rounded to bf16 (2^-9 each) and so is the output: under 1 %."""
    peer = pytest.importorskip("torchao.prototype.quantized_training.bitnet")
    x, weight, grad = (t.bfloat16() for t in operands)
    layer = nn.Linear(64, 32, bias=False)
    layer.weight = nn.Parameter(peer.BitNetTrainingLinearWeight(weight.clone()))
    y = layer(x)
    _close([(_ours(x, weight, grad)[0].float(), y.detach().float())], 1e-2)
