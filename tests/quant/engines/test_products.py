"""The products of codes: every way to compute them, at odd shapes, to the bit."""

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

from bitnet.quant.engines.cpu import build, products
from bitnet.quant.engines.product import (
    scaled_product,
    scaled_product_through,
    weight_gradient,
)

SHAPES = [
    (1, 1, 1),
    (3, 5, 7),
    (14, 32, 64),
    (15, 33, 65),
    (113, 70, 130),
    (20, 17, 5460),
    (9, 6912, 40),
    (300, 100, 257),
]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
WAYS = ["public", "kernel"]

Part = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "kernel" and build.why_not():
        pytest.skip(f"no kernel here: {build.why_not()}")
    if request.param == "public":
        monkeypatch.setattr(products, "why_not", lambda: "switched off")
    return str(request.param)


def _part(rows: int, outs: int, width: int, through: bool, seed: int = 0) -> Part:
    generator = torch.Generator().manual_seed(seed)
    length = outs if through else width
    x = torch.randint(-128, 128, (rows, length), dtype=torch.int8, generator=generator)
    w = torch.randint(-1, 2, (outs, width), dtype=torch.int8, generator=generator)
    return (
        x,
        torch.rand(rows, 1, generator=generator),
        w,
        torch.rand((), generator=generator),
    )


def _truth(parts: list[Part], dtype: torch.dtype, through: bool) -> Tensor:
    """Sums in fp64, which are exact; scaled and added up in fp32, as the formula says."""
    total: Tensor | None = None
    for x, x_scale, w, scale in parts:
        sums = x.double() @ (w.double() if through else w.double().T)
        part = sums.float() * (x_scale * scale)
        total = part if total is None else total + part
    assert total is not None
    return total.to(dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_product_is_exact(shape: tuple[int, int, int], dtype: torch.dtype, way: str) -> None:
    part = _part(*shape, through=False)
    got = scaled_product(*part, dtype)
    assert got.dtype == dtype and torch.equal(got, _truth([part], dtype, through=False))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("count", [1, 3])
def test_a_sum_over_weights_is_exact(
    shape: tuple[int, int, int], dtype: torch.dtype, count: int, way: str
) -> None:
    rows, outs, width = shape
    parts = [_part(rows, outs + 8 * n, width, True, seed=n) for n in range(count)]
    columns = [list(column) for column in zip(*parts, strict=True)]
    got = scaled_product_through(*columns, dtype)
    assert got.dtype == dtype and torch.equal(got, _truth(parts, dtype, through=True))


def test_largest_sums_do_not_saturate(way: str) -> None:
    x = torch.full((2, 6912), -128, dtype=torch.int8)
    w = torch.ones(3, 6912, dtype=torch.int8)
    one = torch.ones(2, 1)
    got = scaled_product(x, one, w, torch.tensor(1.0), torch.float32)
    assert torch.equal(got, torch.full((2, 3), -128.0 * 6912))


def test_a_slice_is_read_where_it_lies(way: str) -> None:
    x, x_scale, w, scale = _part(30, 40, 64, through=False)
    got = scaled_product(x[::2], x_scale[::2], w, scale, torch.float32)
    assert torch.equal(got, _truth([(x[::2], x_scale[::2], w, scale)], torch.float32, False))


def test_not_a_number_stays_one(way: str) -> None:
    x, x_scale, w, scale = _part(2, 3, 4, through=False)
    x_scale[1] = torch.nan
    got = scaled_product(x, x_scale, w, scale, torch.bfloat16)
    assert got[0].isfinite().all() and got[1].isnan().all()


def test_operations_keep_torchs_rules() -> None:
    part = _part(6, 5, 12, through=False)
    opcheck(scaled_product, (*part, torch.float32))
    x, x_scale, w, scale = _part(6, 5, 12, through=True)
    opcheck(scaled_product_through, ([x], [x_scale], [w], [scale], torch.bfloat16))


def test_threads_do_not_change_a_bit() -> None:
    part = _part(500, 70, 300, through=False)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = scaled_product(*part, torch.bfloat16)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(alone, scaled_product(*part, torch.bfloat16))


@pytest.mark.parametrize("shape", [*SHAPES, (2049, 70, 130), (5000, 15, 31)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_a_weight_gradient_sums_over_all_tokens(
    shape: tuple[int, int, int], dtype: torch.dtype, way: str
) -> None:
    rows, outs, width = shape
    x_codes, x_scale, _, _ = _part(rows, outs, width, through=False)
    g = torch.randn(rows, outs, generator=torch.Generator().manual_seed(1)).to(dtype)
    got = weight_gradient(g, x_codes, x_scale, torch.float32)
    expected = g.double().T @ (x_codes.float() * x_scale).to(dtype).double()
    rounded = dtype == torch.bfloat16 and way == "public"
    assert got.dtype == torch.float32
    assert (got - expected).norm() <= (3e-3 if rounded else 2e-6) * expected.norm()
    opcheck(weight_gradient, (g, x_codes, x_scale, torch.float32))
