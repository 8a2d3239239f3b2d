"""The Triton products against the plain formula, bit for bit.

Run by ``test_kernels.py``: on the GPU where there is one, else in Triton's interpreter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from bitnet.quant.engines import cuda
from bitnet.quant.engines.cuda import helper_kernels, scaled_mm
from bitnet.quant.engines.cuda.int_mm import multiply_by_library
from bitnet.quant.engines.cuda.operands import Operands, operands_of, with_depth_multiple_of
from bitnet.quant.engines.cuda.scaled_mm import Tile
from bitnet.quant.engines.cuda.stopwatch import exact_rows, problem_of, sampled_rows
from bitnet.quant.engines.cuda.ways import device_facts, ways_for

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# Few warps and small blocks: what is under test is the indexing, and the interpreter is slow.
TILE = Tile(16, 32, 64, 4, 2, band=2)
DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def problem(m: int, n: int, depths: Sequence[int], dtype: torch.dtype) -> Operands:
    generator = torch.Generator().manual_seed(m + n + sum(depths))

    def codes(rows: int, k: int, largest: int) -> torch.Tensor:
        drawn = torch.randint(-largest, largest + 1, (rows, k), generator=generator)
        return drawn.to(torch.int8).to(DEVICE)

    def scale(*shape: int) -> torch.Tensor:
        return (torch.rand(shape, generator=generator) * 0.01 + 1e-4).to(DEVICE)

    return operands_of(
        [codes(m, k, 127) for k in depths],
        [scale(m, 1) for _ in depths],
        [codes(n, k, 1) for k in depths],
        [scale().squeeze() for _ in depths],
        dtype,
    )


def formula(operands: Operands) -> torch.Tensor:
    total = None
    for part in operands.parts:
        sums = part.x_codes.cpu().long() @ part.w_codes.cpu().long().t()
        scaled = sums.float() * (part.x_scale.cpu() * part.w_scale.cpu())
        total = scaled if total is None else total + scaled
    assert total is not None
    return rounded(total, operands.dtype)


def rounded(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """In another dtype, as the kernels' machine does it: Triton's interpreter cuts bf16 off."""
    if DEVICE == "cpu" and dtype == torch.bfloat16:
        value = (value.contiguous().view(torch.int32) & -(1 << 16)).view(torch.float32)
    return value.to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("m", "n", "k"),
    [(1, 1, 1), (7, 13, 5), (16, 32, 64), (17, 33, 65), (50, 100, 48), (3, 40, 5460), (2, 7, 6912)],
)
def test_pointers_take_any_shape(m: int, n: int, k: int, dtype: torch.dtype) -> None:
    operands = problem(m, n, (k,), dtype)
    got = scaled_mm.multiply_by_pointers(operands, TILE)
    assert torch.equal(got.cpu(), formula(operands))


@pytest.mark.parametrize("depths", [(5, 70), (64, 64), (13, 40, 7)])
def test_parts_are_added_in_order_and_rounded_once(depths: tuple[int, ...]) -> None:
    for dtype in DTYPES:
        operands = problem(19, 21, depths, dtype)
        got = scaled_mm.multiply_by_pointers(operands, TILE)
        assert torch.equal(got.cpu(), formula(operands))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("m", "n", "depths"), [(16, 32, (64,)), (37, 72, (80,)), (5, 8, (16, 144)), (20, 40, (32,) * 3)]
)
@pytest.mark.parametrize("programs", [1, 3, 100])
def test_descriptors(
    m: int, n: int, depths: tuple[int, ...], programs: int, dtype: torch.dtype
) -> None:
    if DEVICE == "cuda" and torch.cuda.get_device_capability() < (9, 0):
        pytest.skip("descriptors need compute capability 9.0")
    operands = problem(m, n, depths, dtype)
    got = scaled_mm.multiply_by_descriptors(operands, TILE, programs)
    assert torch.equal(got.cpu(), formula(operands))


def test_padding_the_depth_changes_nothing() -> None:
    operands = problem(9, 24, (37, 5), torch.bfloat16)
    padded = with_depth_multiple_of(operands, 16)
    assert padded.depths == (48, 16)
    got = scaled_mm.multiply_by_pointers(padded, TILE)
    assert torch.equal(got.cpu(), formula(operands))


def test_the_tiles_that_are_measured() -> None:
    """On a GPU all of them; the interpreter has time for the smallest."""
    operands = problem(70, 144, (160,), torch.bfloat16)
    every = dict.fromkeys(t for rows in (1, 1000, 10_000) for t in scaled_mm.tiles_for(rows, 1))
    for tile in every if DEVICE == "cuda" else scaled_mm.TINY + scaled_mm.SMALL:
        got = scaled_mm.multiply_by_pointers(operands, tile)
        assert torch.equal(got.cpu(), formula(operands)), tile.label


@pytest.mark.parametrize("parts", [1, 2])
def test_rows_that_are_measured_as_one_have_the_same_tiles(parts: int) -> None:
    for power in range(17):
        low, high = 2**power + 1, 2 ** (power + 1)
        assert scaled_mm.tiles_for(low, parts) == scaled_mm.tiles_for(high, parts)


def test_every_tile_is_walked_once() -> None:
    """More bands than one, the last of them not full, and columns that do not fill a tile."""
    operands = problem(16 * 5 + 3, 32 * 3 + 1, (33,), torch.float32)
    got = scaled_mm.multiply_by_pointers(operands, TILE)
    assert torch.equal(got.cpu(), formula(operands))


def test_a_product_that_is_not_a_number_says_so() -> None:
    operands = problem(4, 8, (16,), torch.float32)
    operands.parts[0].x_scale[2] = float("nan")
    got = scaled_mm.multiply_by_pointers(operands, TILE)
    assert got[2].isnan().all()
    assert not got[[0, 1, 3]].isnan().any()


@pytest.mark.parametrize("shape", [(1, 1), (130, 257), (128, 256)])
def test_transposing(shape: tuple[int, int]) -> None:
    codes = torch.randint(-1, 2, shape, dtype=torch.int8).to(DEVICE)
    assert torch.equal(helper_kernels.transposed_codes(codes), codes.t())


@pytest.mark.parametrize("dtype", DTYPES)
def test_scaling_sums(dtype: torch.dtype) -> None:
    total = torch.randint(-800_000, 800_000, (17, 300), dtype=torch.int32).to(DEVICE)
    x_scale, w_scale = torch.rand(17, 1).to(DEVICE), torch.rand(()).to(DEVICE)
    got = helper_kernels.scaled_sums(total, x_scale, w_scale, dtype)
    assert torch.equal(got, rounded(total.float() * (x_scale * w_scale), dtype))


def test_the_truth_that_ways_are_held_against() -> None:
    operands = problem(200, 20, (70, 6), torch.float32)
    rows = sampled_rows(operands)
    assert rows[0] == 0
    assert rows[-1] == 199
    assert torch.equal(exact_rows(operands, rows).cpu(), formula(operands)[rows.cpu()])


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
@pytest.mark.parametrize("depths", [(40,), (5460,), (24, 7, 9), (6912,)])
def test_every_way_on_the_device(depths: tuple[int, ...]) -> None:
    """What the chooser measures, at sizes with several waves of tiles."""
    capability, processors, _ = device_facts(torch.device(DEVICE))
    operands = problem(5000, 1536, depths, torch.bfloat16)
    rows = sampled_rows(operands)
    truth = exact_rows(operands, rows)
    for name, way in ways_for(operands, capability, processors).items():
        assert problem_of(way, operands, rows, truth) is None, name
    assert torch.equal(multiply_by_library(operands).cpu(), formula(operands))


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
def test_a_chosen_product_can_be_captured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a CUDA graph, before and after the shape was measured; and through the op, compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cuda.register()
    part = problem(300, 64, (128,), torch.bfloat16).parts[0]

    def call() -> torch.Tensor:
        x_codes, x_scale, w_codes, w_scale = part
        y: torch.Tensor = torch.ops.bitnet.scaled_products(
            x_codes, x_scale, [w_codes], [w_scale], torch.bfloat16
        )[0]
        return y

    expected = formula(Operands((part,), torch.bfloat16))
    for _ in range(2):
        graph = torch.cuda.CUDAGraph()
        warm = torch.cuda.Stream()
        with torch.cuda.stream(warm):
            scaled_mm.multiply_by_pointers(Operands((part,), torch.bfloat16), scaled_mm.MEDIUM[0])
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            y = call()
        graph.replay()
        torch.cuda.synchronize()
        assert torch.equal(y.cpu(), expected)
        assert torch.equal(call().cpu(), expected)
    assert torch.equal(torch.compile(call)().cpu(), expected)
