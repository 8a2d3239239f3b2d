"""Every engine against the paper's formula, forward and backward."""

import logging

import pytest
import torch

from bitnet.quant import (
    Engine,
    EngineUnavailableError,
    int8_codes,
    int8_engine,
    reference_engine,
    select_engine,
    ternary_codes,
)
from bitnet.quant.engines import select


def _problem(
    outs: tuple[int, ...] = (24, 16), width: int = 40, rows: tuple[int, ...] = (3, 5)
) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*rows, width, generator=generator)
    weights = [torch.randn(out, width, generator=generator) * 0.02 for out in outs]
    grads = [torch.randn(*rows, out, generator=generator) for out in outs]
    return x, weights, grads


def _run(
    engine: Engine, x: torch.Tensor, weights: list[torch.Tensor], grads: list[torch.Tensor]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    leaves = [x.clone().requires_grad_(), *(w.clone().requires_grad_() for w in weights)]
    pairs = [ternary_codes(w) for w in weights]
    outputs = engine(leaves[0], leaves[1:], [c for c, _ in pairs], [s for _, s in pairs])
    torch.autograd.backward(outputs, [g.to(y.dtype) for g, y in zip(grads, outputs, strict=True)])
    return [y.detach() for y in outputs], [leaf.grad for leaf in leaves]


def test_forward_is_the_exact_integer_product() -> None:
    x, weights, grads = _problem()
    x_codes, x_scale = int8_codes(x)
    outputs, _ = _run(int8_engine, x, weights, grads)
    for weight, y in zip(weights, outputs, strict=True):
        codes, scale = ternary_codes(weight)
        exact = x_codes.double() @ codes.double().T
        # The scale product and the last product round once each: 2 * 2^-24.
        torch.testing.assert_close(
            y.double(), exact * (x_scale * scale).double(), rtol=1.2e-7, atol=0
        )


def test_engines_agree_in_fp32() -> None:
    truth, engine = (_run(e, *_problem()) for e in (reference_engine, int8_engine))
    for expected, got in zip(truth[0] + truth[1], engine[0] + engine[1], strict=True):
        assert got.dtype == torch.float32
        assert (got - expected).norm() < 1e-5 * expected.norm()


def test_engines_agree_in_bf16_to_operand_rounding() -> None:
    """Reference rounds dequantised operands to bf16; int8 holds them exact: 0.3 % rms apart."""
    x, weights, grads = _problem(width=256, outs=(64, 64))
    truth, _ = _run(reference_engine, x, weights, grads)
    outputs, gradients = _run(int8_engine, x.bfloat16(), weights, grads)
    _, expected = _run(reference_engine, x.bfloat16(), weights, grads)
    for wide, y in zip(truth, outputs, strict=True):
        assert y.dtype == torch.bfloat16
        assert (y.float() - wide).norm() < 1e-2 * wide.norm()
    for wide, got in zip(expected, gradients, strict=True):
        assert (got.float() - wide.float()).norm() < 1e-2 * wide.float().norm()
    assert gradients[0].dtype == torch.bfloat16
    assert gradients[1].dtype == torch.float32


def test_gradients_only_where_asked() -> None:
    x, weights, _ = _problem()
    codes, scale = ternary_codes(weights[0])
    weight = weights[0].requires_grad_()
    (y,) = int8_engine(x, [weight], [codes], [scale])
    y.sum().backward()
    assert x.grad is None
    assert weight.grad is not None


def test_int8_is_deterministic() -> None:
    first, second = (_run(int8_engine, *_problem()) for _ in range(2))
    assert all(
        torch.equal(a, b) for a, b in zip(first[0] + first[1], second[0] + second[1], strict=True)
    )


def test_selection(caplog: pytest.LogCaptureFixture) -> None:
    cpu, mps, cuda = (torch.device(name) for name in ("cpu", "mps", "cuda"))
    assert select_engine("auto", cpu, (3, 5)) is int8_engine
    assert select_engine("reference", cpu, (8, 8)) is reference_engine
    assert select_engine("auto", cuda, (16, 8)) is int8_engine
    select._said.clear()
    with caplog.at_level(logging.WARNING):
        assert select_engine("auto", mps, (8, 8)) is reference_engine
        assert select_engine("auto", mps, (8, 8)) is reference_engine
    assert len(caplog.records) == 1
    with pytest.raises(EngineUnavailableError, match="1 to 132104 columns"):
        select_engine("int8", cuda, (10, 200_000))
    with pytest.raises(EngineUnavailableError, match="e4m3 need CUDA, not 'cpu'"):
        select_engine("int8_grad_e4m3", cpu, (8, 8))
    with pytest.raises(EngineUnavailableError, match="did you mean 'int8'"):
        select_engine("int9", cpu, (8, 8))
