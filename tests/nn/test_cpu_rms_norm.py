"""Gradients of plain RMS norms by the CPU's kernel against the formula in fp64."""

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

from bitnet.nn.cpu_norm import kernel
from bitnet.nn.cpu_norm.operation import norm_gradient
from bitnet.nn.norm import RMSNorm

pytestmark = pytest.mark.skipif(
    kernel.why_not() is not None, reason=f"no kernel here: {kernel.why_not()}"
)

EPS = 1e-5
ROUNDING = 2.0**-8
"""Half of what lies between two neighbours in bf16, at most, beside the smaller one."""


def _inputs(rows: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Input, a gradient of the result, and a gain."""
    generator = torch.Generator().manual_seed(0)
    x, dy = (torch.randn(rows, width, generator=generator).bfloat16() for _ in range(2))
    return 2 * x, dy, torch.rand(width, generator=generator) + 0.5


def _plain(x: Tensor, dy: Tensor, gain_F: Tensor, by_kernel: bool) -> list[Tensor]:
    """Result and gradients of x and gain; in fp64 if x is."""
    norm = RMSNorm(x.shape[-1], EPS)
    norm.by_kernel = by_kernel
    leaves = [each.clone().requires_grad_() for each in (x, gain_F)]
    if x.dtype == torch.float64:
        y = leaves[0] * torch.rsqrt(leaves[0].square().mean(-1, keepdim=True) + EPS) * leaves[1]
    else:
        y = torch.func.functional_call(norm, {"weight": leaves[1]}, (leaves[0],))
    return [y.detach(), *torch.autograd.grad(y, leaves, dy)]


@pytest.mark.parametrize("rows", [1, 3, 130])
@pytest.mark.parametrize("width", (1, 33, 2048, 6912))
def test_gradients_of_a_plain_norm_agree_with_fp64(width: int, rows: int) -> None:
    x, dy, gain_F = _inputs(rows, width)
    exact = _plain(x.double(), dy.double(), gain_F.double(), False)
    y, dx, d_gain_F = _plain(x, dy, gain_F, True)
    assert torch.equal(y, _plain(x, dy, gain_F, False)[0])
    left_over = 1e-5 * (1 + exact[1].abs().max())
    assert ((dx.double() - exact[1]).abs() <= ROUNDING * exact[1].abs() + left_over).all()
    assert (d_gain_F.double() - exact[2]).norm() < 1e-6 * exact[2].norm()


def test_gradients_of_a_plain_norm_of_a_view_and_on_any_number_of_threads() -> None:
    x, dy, gain_F = _inputs(515, 300)
    inverse_rms = torch.rand(515, 1)
    expected, threads = _plain_gradients(x, dy, gain_F, inverse_rms), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        again = _plain_gradients(x.t().contiguous().t(), dy, gain_F, inverse_rms)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(again, expected, strict=True))


def _plain_gradients(
    x: Tensor, dy: Tensor, gain_F: Tensor, inverse_rms: Tensor
) -> tuple[Tensor, Tensor]:
    dx, d_gain_F = dy.clone(), torch.empty_like(gain_F)
    norm_gradient(dx, d_gain_F, x, gain_F, inverse_rms)
    return dx, d_gain_F


def test_a_plain_norm_leaves_what_it_was_given_without_a_compiler() -> None:
    x, dy, gain_F = _inputs(5, 40)
    kept = dy.clone()
    _plain(x, dy, gain_F, True)
    assert torch.equal(dy, kept)


def test_a_number_that_is_none_spoils_its_own_row_and_the_gain() -> None:
    x, dy, gain_F = _inputs(70, 40)
    clean = _plain(x, dy, gain_F, True)[1]
    x[66, 39] = torch.nan
    _, dx, d_gain_F = _plain(x, dy, gain_F, True)
    others = torch.arange(70) != 66
    assert dx[66].isnan().all() and torch.equal(dx[others], clean[others])
    assert d_gain_F.isnan().all()


def test_as_an_operation_of_torch() -> None:
    x, dy, gain_F = _inputs(6, 20)
    opcheck(norm_gradient, (dy, torch.empty_like(gain_F), x, gain_F, torch.rand(6, 1)))
