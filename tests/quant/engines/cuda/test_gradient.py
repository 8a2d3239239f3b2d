"""Gradients in e4m3: their rounding, and the CUDA product where there is a GPU for it."""

from __future__ import annotations

import pytest
import torch

from bitnet.quant import ternary_codes
from bitnet.quant.activation import gradient_codes
from bitnet.quant.engines.cuda import gradient

Parts = tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]
CUDA = torch.device("cuda")


def problem(*outs: int, rows: int = 64, width: int = 48, size: float = 1.0) -> Parts:
    generator = torch.Generator().manual_seed(0)
    grads = [torch.randn(rows, out, generator=generator) * size for out in outs]
    pairs = [ternary_codes(torch.randn(out, width, generator=generator)) for out in outs]
    return grads, [codes for codes, _ in pairs], [scale for _, scale in pairs]


def truth(
    grads: list[torch.Tensor], codes: list[torch.Tensor], scales: list[torch.Tensor]
) -> torch.Tensor:
    each = zip(grads, codes, scales, strict=True)
    return sum((g.double() @ c.double() * s.double() for g, c, s in each), torch.zeros(()))


def test_rounding_of_gaussian_rows() -> None:
    """2.6 % of the rms in e4m3, 0.8 % in int8, whatever the size of the gradient."""
    for size in (1.0, 1e-9):
        g = torch.randn(64, 4096, generator=torch.Generator().manual_seed(1)) * size
        for rounded, low, high in (
            (gradient.e4m3_codes(g), 0.022, 0.030),
            (gradient_codes(g), 0.006, 0.010),
        ):
            codes, scale = rounded
            error = (codes.float() * scale - g).norm() / g.norm()
            assert low < error < high


def test_small_entries_beside_an_outlier_survive_in_e4m3() -> None:
    g = torch.full((1, 64), 1e-3)
    g[0, 0] = 1.0
    codes, scale = gradient.e4m3_codes(g)
    assert ((codes.float() * scale)[0, 1:] - 1e-3).abs().max() < 1e-3 * 2**-4
    assert gradient_codes(g)[0][0, 1:].eq(0).all()


def test_the_peak_is_kept_and_zeros_stay() -> None:
    g = torch.tensor([[0.0, -3.0, 1.5], [0.0, 0.0, 0.0]])
    codes, scale = gradient.e4m3_codes(g)
    assert codes.float()[0].tolist() == [0.0, -448.0, 224.0]
    assert codes.float()[1].tolist() == [0.0] * 3
    assert scale.isfinite().all()
    g[0, 2] = float("nan")
    assert gradient.e4m3_codes(g)[1][0].isnan()


@pytest.mark.parametrize("outs", [(96,), (64, 40), (5460,)])
def test_the_emulated_gradient_is_near_the_true_one(outs: tuple[int, ...]) -> None:
    parts = problem(*outs)
    got, expected = gradient.emulated_e4m3_input_gradient(*parts), truth(*parts)
    error = (got.double() - expected).norm() / expected.norm()
    assert 0.015 < error < 0.035
    low = gradient.emulated_e4m3_input_gradient([g.bfloat16() for g in parts[0]], *parts[1:])
    assert low.dtype == torch.bfloat16


def test_exact_gradients_stay_exact() -> None:
    """Powers of two below the peak are e4m3 numbers: nothing but the sum is left to round."""
    grads, codes, scales = problem(32)
    g = torch.full_like(grads[0], 0.5)
    g[:, 0] = 448 / 64
    expected = truth([g], codes, scales)
    got = gradient.emulated_e4m3_input_gradient([g], codes, scales)
    torch.testing.assert_close(got.double(), expected, rtol=1e-6, atol=1e-7)


def test_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gradient.why_not_e4m3(torch.device("cpu")) == "products of e4m3 need CUDA, not 'cpu'"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gradient.why_not_e4m3(CUDA) == "there is no CUDA device here"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    assert "8.9, not 8.0" in str(gradient.why_not_e4m3(CUDA))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 9))
    assert gradient.why_not_e4m3(CUDA) is None


@pytest.mark.parametrize(("outs", "width"), [((96,), 48), ((64, 40), 70), ((5460,), 33)])
def test_operands_of_the_product(
    outs: tuple[int, ...], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ``torch._scaled_mm`` is given, held against its rules and computed by their meaning."""
    parts = problem(*outs, width=width)

    def scaled_mm(
        a: torch.Tensor,
        b: torch.Tensor,
        *,
        scale_a: torch.Tensor,
        scale_b: torch.Tensor,
        out_dtype: torch.dtype,
        use_fast_accum: bool,
    ) -> torch.Tensor:
        assert a.dtype == b.dtype == torch.float8_e4m3fn
        assert a.is_contiguous()
        assert b.t().is_contiguous()
        assert not any(size % 16 for size in b.shape)
        assert scale_a.shape == (a.shape[0], 1)
        assert scale_b.shape == (1, b.shape[1])
        assert scale_a.dtype == scale_b.dtype == torch.float32
        assert scale_a.is_contiguous()
        assert scale_b.is_contiguous()
        assert not use_fast_accum
        return ((a.float() @ b.float()) * scale_a * scale_b).to(out_dtype)

    monkeypatch.setattr(torch, "_scaled_mm", scaled_mm)
    # Gradients come out of an attention's transposes in any order of strides.
    grads = [g.t().contiguous().t() for g in parts[0]]
    got = gradient.e4m3_input_gradient(grads, *parts[1:])
    expected = gradient.emulated_e4m3_input_gradient(*parts)
    assert got.shape == expected.shape
    assert got.dtype == torch.float32
    assert (got - expected).norm() < 4e-3 * expected.norm()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("outs", "width"), [((96,), 48), ((64, 40), 70), ((5460,), 6912)])
def test_the_product_on_the_device(outs: tuple[int, ...], width: int) -> None:
    missing = gradient.why_not_e4m3(CUDA)
    if missing:
        pytest.skip(missing)
    parts = problem(*outs, rows=77, width=width)
    on_device = [[tensor.to(CUDA) for tensor in each] for each in parts]
    got = gradient.e4m3_input_gradient(*on_device).cpu()
    expected = gradient.emulated_e4m3_input_gradient(*parts)
    assert (got - expected).norm() < 5e-3 * expected.norm()
