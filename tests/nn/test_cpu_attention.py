"""The CPU's attention kernels against the plain formula in fp64, forward and backward."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.library import opcheck
from torch.profiler import ProfilerActivity, profile

from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.nn.blocked_attention import blocked_attention
from bitnet.nn.cpu_attention import cpu_attention, kernel
from bitnet.nn.cpu_attention.operation import attention, attention_gradient

pytestmark = pytest.mark.skipif(
    kernel.why_not() is not None, reason=f"no kernel here: {kernel.why_not()}"
)


@dataclass(frozen=True)
class Case:
    """Sizes of one call."""

    length: int
    heads: int = 2
    kv_heads: int = 2
    width: int = 64
    batch: int = 2
    alibi: bool = False
    documents: bool = False

    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """q, k, v and a gradient of the output, laid out as projections leave them."""
        generator = torch.Generator().manual_seed(0)
        counts = (self.heads, self.kv_heads, self.kv_heads, self.heads)
        q, k, v, dy = (
            torch.randn(self.batch, self.length, heads, self.width, generator=generator)
            .bfloat16()
            .transpose(1, 2)
            for heads in counts
        )
        return q, k, v, dy

    def marks(self) -> tuple[Tensor | None, Tensor | None]:
        """ALiBi's slopes and the tokens' documents, as far as there are any."""
        generator = torch.Generator().manual_seed(1)
        begins = torch.rand(self.batch, self.length, generator=generator) < 0.05
        slopes = torch.rand(self.heads, generator=generator) if self.alibi else None
        return slopes, begins.cumsum(1, dtype=torch.int32) if self.documents else None


CASES = [
    Case(1, width=8),
    Case(13, width=2),
    Case(33, width=16),
    Case(112),
    Case(113),
    Case(300, width=128, alibi=True),
    Case(515, kv_heads=1, width=80, documents=True),
    Case(600, heads=4, kv_heads=2, alibi=True, documents=True, batch=1),
    Case(130, width=250, batch=1),
]


def _run(case: Case, dtype: torch.dtype, attend: object = cpu_attention) -> list[Tensor]:
    *leaves, dy = (x.detach().to(dtype) for x in case.inputs())
    for leaf in leaves:
        leaf.requires_grad_()
    assert callable(attend)
    y = attend(*leaves, case.width**-0.5, *case.marks())
    return [y.detach(), *torch.autograd.grad(y, leaves, dy)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_fp64(case: Case) -> None:
    """Shares and their changes are rounded to bf16 on the way (2^-9), and results once more."""
    exact = _run(case, torch.float64, blocked_attention)
    for got, expected in zip(_run(case, torch.bfloat16), exact, strict=True):
        assert got.shape == expected.shape and got.dtype == torch.bfloat16
        assert (got.double() - expected).norm() <= 5e-3 * expected.norm() + 1e-6


def test_nearer_to_the_truth_than_products_in_blocks() -> None:
    case = Case(400)
    ways = (_run(case, torch.bfloat16), _run(case, torch.bfloat16, blocked_attention))
    for got, blocked, exact in zip(
        *ways, _run(case, torch.float64, blocked_attention), strict=True
    ):
        assert (got.double() - exact).norm() < (blocked.double() - exact).norm()


def test_a_token_does_not_depend_on_later_ones() -> None:
    q, k, v, _ = Case(200).inputs()
    whole = cpu_attention(q, k, v, 0.125)
    part = cpu_attention(*(x[:, :, :77].contiguous() for x in (q, k, v)), 0.125)
    assert torch.equal(whole[:, :, :77], part)


def test_large_scores_stay_finite() -> None:
    """A peak of thousands is subtracted before the exponential, as ever."""
    q, k, v, dy = (x * 40 for x in Case(150).inputs())
    leaves = [x.detach().requires_grad_() for x in (q, k, v)]
    y = cpu_attention(*leaves, 1.0)
    assert all(x.isfinite().all() for x in (y, *torch.autograd.grad(y, leaves, dy)))


def test_nan_is_not_hidden() -> None:
    q, k, v, _ = Case(40).inputs()
    v[0, 0, 20, 3] = torch.nan
    y = cpu_attention(q, k, v, 0.125)
    assert y[0, 0, 20:, 3].isnan().all() and y[0, 1].isfinite().all()
    q[0, 1, 30] = torch.nan
    assert cpu_attention(q, k, v, 0.125)[0, 1, 30].isnan().all()


@pytest.mark.parametrize("threads", [1, 3])
def test_the_bits_do_not_depend_on_threads(threads: int) -> None:
    case = Case(257, heads=3, kv_heads=3)
    usual, before = _run(case, torch.bfloat16), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        again = _run(case, torch.bfloat16)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(usual, again, strict=True))


def test_any_layout_is_read() -> None:
    """Heads first, heads side by side, and channels that are no neighbours."""
    q, k, v, _ = Case(50).inputs()
    expected = cpu_attention(q, k, v, 0.125)
    apart = [x.transpose(2, 3).contiguous().transpose(2, 3) for x in (q, k, v)]
    for layout in ([x.contiguous() for x in (q, k, v)], apart):
        assert torch.equal(cpu_attention(*layout, 0.125), expected)


@pytest.mark.parametrize("case", [Case(20), Case(20, alibi=True, documents=True)], ids=str)
def test_as_operations_of_torch(case: Case) -> None:
    q, k, v, dy = case.inputs()
    arguments = (q, k, v, 0.125, *case.marks())
    opcheck(attention, arguments)
    y, log_totals = attention(*arguments)
    opcheck(attention_gradient, (q, k, v, y, log_totals, dy, 0.125, *case.marks()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.usefixtures("fresh_compiler")
def test_compiled_passes_in_bf16_attend_by_it(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    shape = ModelShape(dim=64, layers=2, heads=4, kv_heads=2, ffn_dim=96, vocab_size=50)
    model = Transformer(shape, LinearSpec("dense"), dtype)
    tokens = torch.randint(50, (2, 131))
    losses, gradients = [], []
    for compiled in (False, True):
        if compiled:
            model.compile_blocks()
        model.zero_grad()
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            loss, _ = model.loss(tokens[:, :-1], tokens[:, 1:])
            loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    names = {event.key for event in seen.key_averages()}
    used = {"bitnet::attention", "bitnet::attention_gradient"} & names
    assert len(used) == (2 if dtype == torch.bfloat16 else 0)
    near = 0.03 if dtype == torch.bfloat16 else 1e-4
    assert losses[1] == pytest.approx(losses[0], abs=near / 10)
    assert (gradients[1] - gradients[0]).norm() < near * gradients[0].norm()
