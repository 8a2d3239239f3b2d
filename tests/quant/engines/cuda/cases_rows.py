"""The row kernels against the formula of ``quant.activation``.

Run by ``test_kernels.py``: on the GPU where there is one, else in Triton's interpreter.
"""

from __future__ import annotations

import pytest
import torch

from bitnet.nn.norm import RMSNorm
from bitnet.quant.activation import SMALLEST_GRADIENT, gradient_codes, int8_codes
from bitnet.quant.engines.cuda.rows import int8_codes_cuda, norm_int8_codes_cuda

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def rows(*shape: int, dtype: torch.dtype = torch.float32, size: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return (torch.randn(*shape, generator=generator) * size).to(dtype).to(DEVICE)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5, 7), (4, 64), (2, 5460), (2, 6912)])
def test_codes_are_the_formula_s_bits(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = rows(*shape, dtype=dtype)
    expected, got = int8_codes(x), int8_codes_cuda(x)
    assert torch.equal(got[0], expected[0])
    assert torch.equal(got[1], expected[1])


def test_ties_go_to_even() -> None:
    """A peak of 127 makes codes of the values themselves: halves are ties."""
    x = torch.tensor([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -126.5, 0.0]]).to(DEVICE)
    codes, scale = int8_codes_cuda(x)
    assert codes[0].tolist() == [127, 0, 2, 2, 0, -2, -126, 0]
    assert scale.item() == 1.0


def test_rows_of_zeros_and_tiny_rows() -> None:
    x = torch.stack([torch.zeros(9), torch.full((9,), 3e-8), torch.full((9,), 3e-5)]).to(DEVICE)
    for got, expected in (
        (int8_codes_cuda(x), int8_codes(x)),
        (int8_codes_cuda(x, SMALLEST_GRADIENT), gradient_codes(x)),
    ):
        assert torch.equal(got[0], expected[0])
        assert torch.equal(got[1], expected[1])
    assert int8_codes_cuda(x, SMALLEST_GRADIENT)[0][1].tolist() == [127] * 9


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_shows_in_the_scale(bad: float) -> None:
    x = rows(3, 20)
    x[1, 7] = bad
    _, scale = int8_codes_cuda(x)
    assert not scale[1].isfinite()
    assert scale[[0, 2]].isfinite().all()


def normed(x: torch.Tensor, norm: RMSNorm) -> torch.Tensor:
    """The norm's result, rounded as the kernels' machine does it: the interpreter cuts bf16 off."""
    if DEVICE == "cpu" and x.dtype == torch.bfloat16:
        wide: torch.Tensor = norm(x.float())
        return (wide.view(torch.int32) & -(1 << 16)).view(torch.float32).to(x.dtype)
    result: torch.Tensor = norm(x)
    return result


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [40, 1000, 2560])
def test_norm_and_codes_in_one_pass(width: int, dtype: torch.dtype) -> None:
    """The norm sums in another order, which may carry a value over a tie: one code in 1e4."""
    x = rows(4, 5, width, dtype=dtype, size=3.0)
    norm = RMSNorm(width, 1e-5).to(DEVICE)
    with torch.no_grad():
        norm.weight.copy_(rows(width).abs() + 0.5)
        expected_codes, expected_scale = int8_codes(normed(x, norm))
        codes, scale = norm_int8_codes_cuda(x, norm.weight, 1e-5)
    apart = (codes.int() - expected_codes.int()).abs()
    assert apart.max() <= 1
    assert int((apart > 0).sum()) <= max(1, apart.numel() // 10_000)
    bound = 1e-6 if dtype == torch.float32 else torch.finfo(dtype).eps
    torch.testing.assert_close(scale, expected_scale, rtol=bound, atol=0)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="1 to 32768 wide"):
        int8_codes_cuda(torch.zeros(1, 40_000, device=DEVICE))
    with pytest.raises(ValueError, match="no row"):
        int8_codes_cuda(torch.zeros(0, 8, device=DEVICE))
    with pytest.raises(ValueError, match="does not fit"):
        norm_int8_codes_cuda(torch.zeros(1, 8, device=DEVICE), torch.ones(4, device=DEVICE), 1e-5)
