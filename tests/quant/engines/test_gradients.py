"""Gradients of every fast engine against fp64, at shapes that fit no tile."""

import pytest
import torch
from torch import Tensor

from bitnet.quant import Engine, int8_codes, int8_engine, int8_grad8_engine, ternary_codes
from bitnet.quant.activation import gradient_codes

ENGINES = {"int8": int8_engine, "int8_grad8": int8_grad8_engine}
SHAPES = [
    (3, (7,), 5),
    (13, (24, 16), 40),
    (9, (5460,), 64),
    (10, (33, 17, 65), 5460),
    (7, (11, 6912), 130),
]
Shape = tuple[int, tuple[int, ...], int]


def _problem(shape: Shape) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    rows, outs, width = shape
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, width, generator=generator)
    weights = [torch.randn(out, width, generator=generator) * 0.02 for out in outs]
    grads = [torch.randn(rows, out, generator=generator) * 1e-6 for out in outs]
    return x, weights, grads


def _gradients(
    engine: Engine, x: Tensor, weights: list[Tensor], grads: list[Tensor]
) -> list[Tensor]:
    leaves = [x.clone().requires_grad_(), *(w.clone().requires_grad_() for w in weights)]
    pairs = [ternary_codes(w) for w in weights]
    outputs = engine(leaves[0], leaves[1:], [c for c, _ in pairs], [s for _, s in pairs])
    torch.autograd.backward(outputs, [g.to(y.dtype) for g, y in zip(grads, outputs, strict=True)])
    return [leaf.grad for leaf in leaves if leaf.grad is not None]


def _truth(x: Tensor, weights: list[Tensor], grads: list[Tensor]) -> list[Tensor]:
    """Products of the quantised operands, in fp64."""
    codes, scale = int8_codes(x)
    x_q = codes.double() * scale.double()
    pairs = [ternary_codes(w) for w in weights]
    w_q = [c.double() * s.double() for c, s in pairs]
    dx = sum((g.double() @ w for g, w in zip(grads, w_q, strict=True)), torch.zeros(()))
    return [dx, *(g.double().T @ x_q for g in grads)]


def _rounded(grads: list[Tensor]) -> list[Tensor]:
    pairs = [gradient_codes(g) for g in grads]
    return [codes.double() * scale.double() for codes, scale in pairs]


def _error(got: Tensor, expected: Tensor) -> float:
    return float((got.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (torch.bfloat16, 4e-3)])
def test_gradients_are_those_of_the_quantised_operands(
    name: str, shape: Shape, dtype: torch.dtype, bound: float
) -> None:
    x, weights, grads = _problem(shape)
    x, grads = x.to(dtype), [g.to(dtype) for g in grads]
    got = _gradients(ENGINES[name], x, weights, grads)
    expected = _truth(x, weights, grads)
    if name == "int8_grad8":
        expected[0] = _truth(x, weights, _rounded(grads))[0]
    assert [g.dtype for g in got] == [dtype, *(torch.float32 for _ in weights)]
    for mine, true in zip(got, expected, strict=True):
        assert _error(mine, true) < bound


@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
def test_rounding_the_gradient_costs_less_than_a_hundredth(shape: Shape) -> None:
    x, weights, grads = _problem(shape)
    got = _gradients(int8_grad8_engine, x, weights, grads)
    expected = _truth(x, weights, grads)
    assert 1e-4 < _error(got[0], expected[0]) < 0.012
    for mine, true in zip(got[1:], expected[1:], strict=True):
        assert _error(mine, true) < 1e-6


def test_codes_of_a_gradient_have_no_floor_of_activations() -> None:
    small = torch.tensor([[1e-12, -5e-13, 0.0], [0.0, 0.0, 0.0]])
    codes, scale = gradient_codes(small)
    assert codes.tolist() == [[127, -64, 0], [0, 0, 0]]
    assert scale[0].item() == pytest.approx(1e-12 / 127) and scale.isfinite().all()


@pytest.mark.parametrize("name", ENGINES)
def test_an_empty_batch_is_refused(name: str) -> None:
    _, weights, _ = _problem(SHAPES[1])
    codes, scale = ternary_codes(weights[0])
    with pytest.raises(ValueError, match=r"\[0, 40\] holds no tokens"):
        ENGINES[name](torch.empty(0, 40), weights[:1], [codes], [scale])


@pytest.mark.parametrize("name", ENGINES)
def test_a_compiled_engine_is_one_graph_of_the_same_numbers(name: str) -> None:
    torch._dynamo.reset()
    x, weights, grads = _problem(SHAPES[1])
    engine = ENGINES[name]

    def both(rows: Tensor, ws: list[Tensor], codes: list[Tensor], scales: list[Tensor]) -> object:
        return engine(rows, ws, codes, scales)

    compiled = torch.compile(both, fullgraph=True)
    plain, fused = (_gradients(e, x, weights, grads) for e in (engine, compiled))
    for one, other in zip(plain, fused, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-12)
