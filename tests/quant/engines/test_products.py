"""The products of codes: every way to compute them, at odd shapes, to the bit."""

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

from bitnet.quant import held_codes
from bitnet.quant.activation import gradient_codes
from bitnet.quant.engines.cpu import kernels, products
from bitnet.quant.engines.product import input_gradient, scaled_products, weight_gradient

SHAPES = [
    (1, 1, 1),
    (3, 5, 7),
    (14, 32, 64),
    (15, 33, 65),
    (113, 70, 130),
    (20, 17, 5460),
    (9, 6912, 40),
    (300, 100, 257),
    (15, 1100, 24000),  # more than is packed at once, in all three products
]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
WAYS = ["public", "kernel"]

Part = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "kernel" and kernels.why_not():
        pytest.skip(f"no kernel here: {kernels.why_not()}")
    if request.param == "public":
        monkeypatch.setattr(products, "why_not", lambda: "switched off")
    return str(request.param)


def _part(rows: int, outs: int, width: int) -> Part:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-128, 128, (rows, width), dtype=torch.int8, generator=generator)
    w = torch.randint(-1, 2, (outs, width), dtype=torch.int8, generator=generator)
    return (
        x,
        torch.rand(rows, 1, generator=generator),
        w,
        torch.rand((), generator=generator),
    )


def _truth(part: Part, dtype: torch.dtype) -> Tensor:
    """Sums in fp64, which are exact; scaled in fp32, as the formula says."""
    x, x_scale, w, scale = part
    return ((x.double() @ w.double().T).float() * (x_scale * scale)).to(dtype)


Gradients = tuple[list[Tensor], list[Tensor], list[Tensor]]


def _gradients(shape: tuple[int, int, int], count: int, dtype: torch.dtype) -> Gradients:
    """Gradients of the outputs of some weights, their codes and scales."""
    rows, outs, width = shape
    generator = torch.Generator().manual_seed(1)
    sizes = [outs + 8 * n for n in range(count)]
    grads = [torch.randn(rows, size, generator=generator).mul(1e-3).to(dtype) for size in sizes]
    codes = [
        torch.randint(-1, 2, (size, width), dtype=torch.int8, generator=generator) for size in sizes
    ]
    return grads, codes, [torch.rand((), generator=generator) for _ in sizes]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_product_is_exact(shape: tuple[int, int, int], dtype: torch.dtype, way: str) -> None:
    part = _part(*shape)
    x, x_scale, w, scale = part
    for codes in (w, held_codes(w)):
        (got,) = scaled_products(x, x_scale, [codes], [scale], dtype)
        assert got.dtype == dtype and torch.equal(got, _truth(part, dtype))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("count", [1, 3])
def test_a_rounded_input_gradient_is_exact_after_the_rounding(
    shape: tuple[int, int, int], dtype: torch.dtype, count: int, way: str
) -> None:
    grads, codes, scales = _gradients(shape, count, dtype)
    total: Tensor | None = None
    for g, c, scale in zip(grads, codes, scales, strict=True):
        g_codes, g_scale = gradient_codes(g)
        part = (g_codes.double() @ c.double()).float() * (g_scale * scale)
        total = part if total is None else total + part
    assert total is not None
    for form in (codes, [held_codes(c) for c in codes]):
        got, _ = input_gradient(grads, form, scales, shape[2], True)
        assert got.dtype == dtype and torch.equal(got, total.to(dtype))


@pytest.mark.parametrize("shape", [*SHAPES, (86, 2049, 33), (9, 4100, 64)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.parametrize("count", [1, 3])
def test_an_input_gradient_is_rounded_at_most_once_a_weight(
    shape: tuple[int, int, int], dtype: torch.dtype, count: int, way: str
) -> None:
    grads, codes, scales = _gradients(shape, count, dtype)
    expected = torch.zeros(shape[0], shape[2], dtype=torch.float64)
    size = torch.zeros_like(expected)  # what errors are relative to: no part may be small by chance
    for g, c, scale in zip(grads, codes, scales, strict=True):
        expected += g.double() @ c.double() * scale
        size += g.double().abs() @ c.double().abs() * scale
    got, _ = input_gradient(grads, [held_codes(c) for c in codes], scales, shape[2], False)
    assert torch.equal(got, input_gradient(grads, codes, scales, shape[2], False)[0])
    error = (got - expected).abs()
    if dtype == torch.float32:
        assert got.dtype == dtype and (error <= 1e-5 * size).all()
    elif way == "kernel":  # rounded to bf16 at the end: half a unit in the last of 8 bits
        assert got.dtype == dtype and (error <= 2**-8 * expected.abs() + 1e-5 * size).all()
    else:
        assert got.dtype == dtype and (error <= 2**-7 * size).all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rounded", [False, True])
def test_a_gradient_that_is_no_number_is_not_hidden(
    bad: float, dtype: torch.dtype, rounded: bool, way: str
) -> None:
    grads, codes, scales = _gradients((3, 40, 20), 2, dtype)
    grads[1][1, 7] = bad
    codes[1][7] = 1
    got, _ = input_gradient(grads, codes, scales, 20, rounded)
    assert got[[0, 2]].isfinite().all() and not got[1].isfinite().any()


def test_a_gradient_of_zeros_stays_zero(way: str) -> None:
    _, codes, scales = _gradients((3, 40, 20), 1, torch.bfloat16)
    zeros = torch.zeros(3, 40, dtype=torch.bfloat16)
    for rounded in (False, True):
        assert not input_gradient([zeros], codes, scales, 20, rounded)[0].any()


def test_largest_sums_do_not_saturate(way: str) -> None:
    x = torch.full((2, 6912), -128, dtype=torch.int8)
    w = torch.ones(3, 6912, dtype=torch.int8)
    one = torch.ones(2, 1)
    (got,) = scaled_products(x, one, [w], [torch.tensor(1.0)], torch.float32)
    assert torch.equal(got, torch.full((2, 3), -128.0 * 6912))


def test_a_slice_is_read_where_it_lies(way: str) -> None:
    x, x_scale, w, scale = _part(30, 40, 64)
    (got,) = scaled_products(x[::2], x_scale[::2], [w], [scale], torch.float32)
    assert torch.equal(got, _truth((x[::2], x_scale[::2], w, scale), torch.float32))
    grads, codes, scales = _gradients((30, 40, 20), 1, torch.bfloat16)
    for rounded in (False, True):
        whole, _ = input_gradient(grads, codes, scales, 20, rounded)
        part, _ = input_gradient([grads[0][::2]], codes, scales, 20, rounded)
        assert torch.equal(part, whole[::2])


def test_not_a_number_stays_one(way: str) -> None:
    x, x_scale, w, scale = _part(2, 3, 4)
    x_scale[1] = torch.nan
    (got,) = scaled_products(x, x_scale, [w], [scale], torch.bfloat16)
    assert got[0].isfinite().all() and got[1].isnan().all()


def test_operations_keep_torchs_rules() -> None:
    x, x_scale, w, scale = _part(6, 5, 12)
    opcheck(scaled_products, (x, x_scale, [w, w[:3]], [scale, scale], torch.float32))
    for rounded in (False, True):
        opcheck(input_gradient, (*_gradients((6, 5, 12), 2, torch.bfloat16), 12, rounded))


def test_threads_do_not_change_a_bit() -> None:
    x, x_scale, w, scale = _part(500, 70, 300)
    grads = _gradients((500, 70, 300), 2, torch.bfloat16)

    def made() -> list[Tensor]:
        gradients = [input_gradient(*grads, 300, rounded)[0] for rounded in (False, True)]
        weight = weight_gradient(grads[0][1], x, x_scale, torch.float32)
        y = scaled_products(x, x_scale, [w, w[:9]], [scale, scale], torch.bfloat16)
        return [*y, *gradients, weight]

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = made()
    finally:
        torch.set_num_threads(threads)
    assert all(map(torch.equal, alone, made()))


@pytest.mark.parametrize("shape", [*SHAPES, (2049, 70, 130), (5000, 15, 31)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_a_weight_gradient_sums_over_all_tokens(
    shape: tuple[int, int, int], dtype: torch.dtype, way: str
) -> None:
    rows, outs, width = shape
    x_codes, x_scale, _, _ = _part(rows, outs, width)
    g = torch.randn(rows, outs, generator=torch.Generator().manual_seed(1)).to(dtype)
    got = weight_gradient(g, x_codes, x_scale, torch.float32)
    expected = g.double().T @ (x_codes.float() * x_scale).to(dtype).double()
    rounded = dtype == torch.bfloat16 and way == "public"
    assert got.dtype == torch.float32
    assert (got - expected).norm() <= (3e-3 if rounded else 2e-6) * expected.norm()
    opcheck(weight_gradient, (g, x_codes, x_scale, torch.float32))
