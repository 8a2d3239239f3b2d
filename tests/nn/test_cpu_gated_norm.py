"""The CPU's gated norm against the plain formula in fp64, forward and backward."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.library import opcheck
from torch.nn.functional import silu

from bitnet.nn import LinearSpec, ModelShape, PassSpec, Transformer
from bitnet.nn.cpu_attention import kernel as attention_kernel
from bitnet.nn.cpu_norm import ACTIVATIONS, gated_norm, kernel
from bitnet.nn.cpu_norm.operation import gated_norm_forward, gated_norm_gradient
from bitnet.nn.mlp import relu2
from bitnet.nn.norm import RMSNorm

pytestmark = pytest.mark.skipif(
    kernel.why_not() is not None, reason=f"no kernel here: {kernel.why_not()}"
)

EPS = 1e-5
ROUNDING = 2.0**-8
"""Half of what lies between two neighbours in bf16, at most, beside the smaller one."""

WIDTHS = (1, 33, 1408, 5460, 6912)
activations = pytest.mark.parametrize("activation", ACTIVATIONS)


def _inputs(rows: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gate, up, a gradient of the result, and a gain."""
    generator = torch.Generator().manual_seed(0)
    gate, up, dy = (torch.randn(rows, width, generator=generator).bfloat16() for _ in range(3))
    return 2 * gate, up, dy, torch.rand(width, generator=generator) + 0.5


def _formula(gate: Tensor, up: Tensor, gain_F: Tensor, eps: float, activation: str) -> Tensor:
    """As eager passes in gate's dtype have it."""
    norm = RMSNorm(gate.shape[-1], eps)
    wide = {"silu": silu, "relu2": relu2}[activation](gate) * up
    if gate.dtype == torch.float64:
        return wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps) * gain_F
    normed: Tensor = torch.func.functional_call(norm, {"weight": gain_F}, (wide,))
    return normed


def _run(
    way: Callable[..., Tensor],
    inputs: tuple[Tensor, ...],
    activation: str,
    dtype: torch.dtype | None = None,
) -> list[Tensor]:
    """The result, and gradients of gate, up and gain."""
    gate, up, dy, gain_F = (x.clone().to(dtype or x.dtype) for x in inputs)
    leaves = [x.requires_grad_() for x in (gate, up, gain_F)]
    y = way(*leaves, EPS, activation)
    return [y.detach(), *torch.autograd.grad(y, leaves, dy)]


def _error(got: Tensor, exact: Tensor) -> float:
    return float((got.double() - exact).norm() / exact.norm())


@activations
@pytest.mark.parametrize("rows", [1, 3, 130])
@pytest.mark.parametrize("width", WIDTHS)
def test_agrees_with_fp64(width: int, rows: int, activation: str) -> None:
    inputs = _inputs(rows, width)
    got = _run(gated_norm, inputs, activation)
    exact = _run(_formula, inputs, activation, torch.float64)
    for each, expected, dtype in zip(
        got, exact, [torch.bfloat16] * 3 + [torch.float32], strict=True
    ):
        assert each.shape == expected.shape and each.dtype == dtype
    for each, expected in zip(got[:3], exact[:3], strict=True):
        # Backward subtracts, so that fp32's own rounding shows where little is left.
        left_over = 1e-5 * (1 + expected.abs().max())
        assert ((each.double() - expected).abs() <= ROUNDING * expected.abs() + left_over).all()
    assert _error(got[3], exact[3]) < 1e-6


@activations
@pytest.mark.parametrize("width", WIDTHS[1:])
def test_nearer_to_the_truth_than_eager_passes(width: int, activation: str) -> None:
    inputs = _inputs(130, width)
    exact = _run(_formula, inputs, activation, torch.float64)
    ways = (_run(way, inputs, activation) for way in (gated_norm, _formula))
    for got, eager, expected in zip(*ways, exact, strict=True):
        assert _error(got, expected) < _error(eager, expected)


@activations
@pytest.mark.parametrize("width", [33, 64])
def test_any_layout_is_read(width: int, activation: str) -> None:
    """Halves of one projection, more dimensions, and columns that are no neighbours."""
    gate, up, dy, gain_F = _inputs(12, width)
    expected = _run(gated_norm, (gate, up, dy, gain_F), activation)
    halves = torch.cat([gate, up], dim=-1).chunk(2, dim=-1)
    apart = [x.t().contiguous().t() for x in (gate, up, dy)]
    for inputs in ((*halves, dy), apart, [x.view(3, 4, width) for x in (gate, up, dy)]):
        y, inverse_rms = gated_norm_forward(*inputs[:2], gain_F, EPS, activation)
        assert y.is_contiguous() and torch.equal(y.view(12, width), expected[0])
        d_up = inputs[2].contiguous().clone()
        d_gain_F = torch.empty_like(gain_F)
        d_gate = gated_norm_gradient(d_up, d_gain_F, *inputs[:2], gain_F, inverse_rms, activation)
        got = (d_gate.view(12, width), d_up.view(12, width), d_gain_F)
        assert all(torch.equal(a, b) for a, b in zip(got, expected[1:], strict=True))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_bits_do_not_depend_on_threads(threads: int) -> None:
    inputs, before = _inputs(515, 300), torch.get_num_threads()
    usual = _run(gated_norm, inputs, "silu")
    torch.set_num_threads(threads)
    try:
        again = _run(gated_norm, inputs, "silu")
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(usual, again, strict=True))


@activations
def test_what_was_given_stays_as_it_was_without_a_compiler(activation: str) -> None:
    *leaves, dy, gain_F = _inputs(5, 40)
    kept = dy.clone()
    leaves = [x.requires_grad_() for x in (*leaves, gain_F)]
    y = gated_norm(*leaves, EPS, activation)
    first = torch.autograd.grad(y, leaves, dy, retain_graph=True)
    assert torch.equal(dy, kept)
    again = torch.autograd.grad(y, leaves, dy)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_no_rows_are_no_problem() -> None:
    empty, gain_F = torch.empty(0, 7, dtype=torch.bfloat16), torch.ones(7)
    assert gated_norm(empty, empty, gain_F, EPS, "silu").shape == (0, 7)
    got = _run(gated_norm, (empty, empty, empty, gain_F), "silu")
    assert torch.equal(got[3], torch.zeros(7))


@activations
def test_extremes_stay_finite(activation: str) -> None:
    gate, up, dy, gain_F = _inputs(4, 40)
    gate[0], gate[1], gate[2], up[3] = 1000, -1000, 0, 0
    got = _run(gated_norm, (gate, up, dy, gain_F), activation)
    exact = _run(_formula, (gate, up, dy, gain_F), activation, torch.float64)
    for each, expected in zip(got, exact, strict=True):
        assert each.isfinite().all()
        assert (each.double() - expected).abs().max() <= ROUNDING * expected.abs().max()
    assert not got[0][1:].abs().max() > 1e-20


@activations
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("where", [0, 1])
def test_what_is_no_number_spoils_its_own_row(where: int, bad: float, activation: str) -> None:
    inputs = _inputs(70, 40)
    clean = _run(gated_norm, inputs, activation)
    inputs[where][66, 39] = bad
    others = torch.arange(70) != 66
    got = _run(gated_norm, inputs, activation)
    for each, before in zip(got[:3], clean[:3], strict=True):
        assert each[66].isnan().all() and torch.equal(each[others], before[others])
    assert got[3].isnan().all()


@activations
def test_as_operations_of_torch(activation: str) -> None:
    gate, up, dy, gain_F = _inputs(6, 20)
    opcheck(gated_norm_forward, (gate, up, gain_F, EPS, activation))
    _, inverse_rms = gated_norm_forward(gate, up, gain_F, EPS, activation)
    d_gain_F = torch.empty_like(gain_F)
    opcheck(gated_norm_gradient, (dy, d_gain_F, gate, up, gain_F, inverse_rms, activation))


SHAPE = ModelShape(dim=64, layers=2, heads=4, ffn_dim=96, vocab_size=50)


def _step(model: Transformer) -> tuple[float, Tensor]:
    """Loss and gradients."""
    tokens = torch.randint(50, (2, 131), generator=torch.Generator().manual_seed(0))
    loss, _ = model.loss(tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return loss.item(), torch.cat(grads)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that ran, in order."""
    ran: list[str] = []

    def watch(room: Any, direction: str, name: str) -> None:
        call = getattr(room, direction)

        def noting(*args: Any) -> Any:
            ran.append(name)
            return call(*args)

        monkeypatch.setattr(room, direction, noting)

    watch(kernel, "forward", "norm")
    watch(kernel, "backward", "gradient")
    watch(kernel, "norm_backward", "plain gradient")
    watch(attention_kernel, "forward", "attention")
    return ran


def _model(linear: LinearSpec, dtype: torch.dtype = torch.bfloat16, **shape: Any) -> Transformer:
    torch.manual_seed(0)
    return Transformer(ModelShape(**{**vars(SHAPE), **shape}), linear, dtype)


@pytest.mark.parametrize("fused", [False, True], ids=["apart", "fused"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", ["dense", "bitnet"])
@pytest.mark.usefixtures("fresh_compiler")
def test_compiled_passes_in_bf16_go_through_it(
    kind: str, activation: str, fused: bool, calls: list[str]
) -> None:
    linear, shape = LinearSpec(kind), {"activation": activation, "fused_gate_up": fused}
    loss, gradients = _step(_model(linear, **shape))
    assert not calls
    model = _model(linear, **shape)
    model.compile_blocks()
    compiled_loss, compiled_gradients = _step(model)
    backward = ["gradient", *["plain gradient"] * 3]  # of a block; before it the head's norm
    assert calls == ["attention", "norm"] * 2 + ["plain gradient"] + backward * 2
    assert compiled_loss == pytest.approx(loss, abs=0.003)
    # Codes of activations jump where their inputs differ by a rounding.
    near = 0.03 if kind == "dense" else 0.1
    assert (compiled_gradients - gradients).norm() < near * gradients.norm()


@pytest.mark.parametrize(
    "other",
    [
        {"activation": "gelu"},
        {"sub_norm": False},
        {"norm": "layer"},
        {"gated": False},
        {"dtype": torch.float32},
    ],
    ids=str,
)
@pytest.mark.usefixtures("fresh_compiler")
def test_other_layers_do_not(other: dict[str, Any], calls: list[str]) -> None:
    model = _model(LinearSpec("dense"), **other)
    model.compile_blocks()
    _step(model)
    assert "norm" not in calls and "gradient" not in calls


@pytest.mark.parametrize(("policy", "times"), [("none", 1), ("selective", 2), ("blocks", 2)])
@pytest.mark.usefixtures("fresh_compiler")
def test_made_anew_where_no_more_than_products_are_kept(
    policy: str, times: int, calls: list[str]
) -> None:
    model = _model(LinearSpec("dense"))
    model.set_passes(PassSpec(recompute=policy))
    model.compile_blocks()
    _step(model)
    assert calls.count("norm") == 2 * times and calls.count("gradient") == 2
    assert calls.count("attention") == 2 * (2 if policy == "blocks" else 1)


@pytest.mark.usefixtures("fresh_compiler")
def test_a_compiled_backward_writes_over_the_gradient_it_is_given() -> None:
    """Else a layer would hold one more tensor at its fullest moment."""
    from torch._inductor.utils import run_and_get_code

    model = _model(LinearSpec("dense"))
    model.compile_blocks()
    _, codes = run_and_get_code(_step, model)
    own = [code for code in codes if "gated_norm_gradient.default(" in code]
    assert len(own) == 1
    call = own[0].split("gated_norm_gradient.default(")[1]
    assert "clone" not in own[0] and "extern_kernels.mm" in own[0]
    given = call.split("reinterpret_tensor(")[1].split(",")[0]
    assert f"out={given})" in own[0]
