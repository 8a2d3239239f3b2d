"""Which ways a shape and a device have, what is refused, and the library's way."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch._subclasses import FakeTensorMode

from bitnet.planning.pretend import Pretend
from bitnet.quant.engines import cuda
from bitnet.quant.engines.cuda.int_mm import multiply_by_library
from bitnet.quant.engines.cuda.operands import Operands, operands_of
from bitnet.quant.engines.cuda.ways import ways_for

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


def problem(m: int, n: int, *depths: int, dtype: torch.dtype = torch.bfloat16) -> Operands:
    generator = torch.Generator().manual_seed(m)
    return operands_of(
        [torch.randint(-127, 128, (m, k), generator=generator).to(torch.int8) for k in depths],
        [torch.rand(m, 1, generator=generator) for _ in depths],
        [torch.randint(-1, 2, (n, k), generator=generator).to(torch.int8) for k in depths],
        [torch.rand((), generator=generator) for _ in depths],
        dtype,
    )


def kinds(operands: Operands, capability: tuple[int, int]) -> set[str]:
    """Names of the ways without their tiles."""
    return {name.rsplit(" ", 1)[0] for name in ways_for(operands, capability, 132)}


@needs_triton
def test_ways_by_device() -> None:
    operands = problem(64, 32, 32)
    assert kinds(operands, (9, 0)) == {"pointers", "descriptors", "int_mm"}
    assert kinds(operands, (8, 0)) == {"pointers", "int_mm"}
    assert kinds(operands, (7, 5)) == {"int_mm"}
    assert next(iter(ways_for(operands, (9, 0), 132))).startswith("pointers")


@needs_triton
def test_ways_by_alignment() -> None:
    assert kinds(problem(64, 30, 32), (9, 0)) == {"pointers", "int_mm"}
    assert kinds(problem(64, 36, 32, dtype=torch.float32), (9, 0)) >= {"descriptors"}
    odd = {"pointers", "padded pointers", "padded descriptors", "int_mm"}
    assert kinds(problem(64, 32, 5460), (9, 0)) == odd
    assert kinds(problem(64, 32, 16, 20), (9, 0)) == odd


@needs_triton
def test_more_parts_than_the_kernels_know_go_to_the_library() -> None:
    assert kinds(problem(64, 32, 16, 16, 16, 16), (9, 0)) == {"int_mm"}


def test_without_triton_there_is_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitnet.quant.engines.cuda.ways.has_triton", lambda: False)
    assert list(ways_for(problem(64, 32, 32), (9, 0), 132)) == ["int_mm"]


@pytest.mark.parametrize(
    ("m", "n", "depths"), [(1, 1, (1,)), (33, 20, (5460,)), (7, 6912, (24,)), (17, 10, (5, 9, 16))]
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_library_s_way(m: int, n: int, depths: tuple[int, ...], dtype: torch.dtype) -> None:
    operands = problem(m, n, *depths, dtype=dtype)
    expected = torch.zeros(m, n)
    for part in operands.parts:
        sums = part.x_codes.long() @ part.w_codes.long().t()
        expected = expected + sums.float() * (part.x_scale * part.w_scale)
    assert torch.equal(multiply_by_library(operands), expected.to(dtype))


def test_transposing_for_the_input_s_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_chosen", multiply_by_library)
    g = torch.randint(-127, 128, (5, 12), dtype=torch.int8)
    w = torch.randint(-1, 2, (12, 7), dtype=torch.int8)
    scales = torch.rand(5, 1), torch.rand(())
    got = cuda.product_through([g], [scales[0]], [w], [scales[1]], torch.float32)
    assert torch.equal(got, (g.long() @ w.long()).float() * (scales[0] * scales[1]))


def test_registering_gives_the_ops_their_cuda_kernels() -> None:
    cuda.register()
    cuda.register()
    for name in ("bitnet::scaled_products", "bitnet::scaled_product_through"):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(name, "CUDA")
    x_codes, x_scale, w_codes, w_scale = problem(4, 8, 16).parts[0]
    operands = x_codes, x_scale, [w_codes], [w_scale]
    (on_cpu,) = torch.ops.bitnet.scaled_products(*operands, torch.float32)
    assert torch.equal(on_cpu, multiply_by_library(problem(4, 8, 16, dtype=torch.float32)))


def test_who_makes_the_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitnet.quant.engines.cuda.int_mm.has_triton", lambda: True)
    assert "whichever is faster" in cuda.served_by()
    monkeypatch.setattr("bitnet.quant.engines.cuda.int_mm.has_triton", lambda: False)
    assert "Triton is not installed" in cuda.served_by()


def test_the_rows_kernel_leaves_other_devices_alone() -> None:
    assert cuda.codes_of(torch.randn(4, 8), 1e-5) is None


@pytest.mark.parametrize("mode", [Pretend("cuda"), FakeTensorMode()], ids=["planned", "fake"])
def test_the_rows_kernel_is_not_launched_on_tensors_without_memory(
    mode: AbstractContextManager[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bitnet.quant.engines.cuda.int_mm.has_triton", lambda: True)
    with mode:
        x = torch.empty(4, 8, device="cuda")
        assert x.is_cuda and cuda.codes_of(x, 1e-5) is None


def test_empty_products_need_no_device() -> None:
    x, w = torch.zeros(0, 8, dtype=torch.int8), torch.zeros(4, 8, dtype=torch.int8)
    got = cuda.product(x, torch.zeros(0, 1), w, torch.ones(()), torch.bfloat16)
    assert got.shape == (0, 4)
    none = torch.zeros(3, 0, dtype=torch.int8), torch.zeros(4, 0, dtype=torch.int8)
    got = cuda.product(none[0], torch.ones(3, 1), none[1], torch.ones(()), torch.float32)
    assert torch.equal(got, torch.zeros(3, 4))


def _codes(*shape: int) -> torch.Tensor:
    return torch.zeros(*shape, dtype=torch.int8)


@pytest.mark.parametrize(
    ("x", "x_scale", "w", "w_scale", "message"),
    [
        (_codes(2, 8).float(), torch.ones(2, 1), _codes(4, 8), torch.ones(()), "must be int8"),
        (_codes(2, 8), torch.ones(2, 1), _codes(4, 9), torch.ones(()), r"\[2, 8\] and \[4, 9\]"),
        (_codes(2, 8), torch.ones(3, 1), _codes(4, 8), torch.ones(()), "one scale a row"),
        (_codes(2, 8), torch.ones(2, 1), _codes(4, 8), torch.ones(4), "one scale a row"),
        (_codes(2, 8), torch.ones(2, 1).half(), _codes(4, 8), torch.ones(()), "must be fp32"),
    ],
)
def test_what_a_kernel_could_not_read_is_refused(
    x: torch.Tensor, x_scale: torch.Tensor, w: torch.Tensor, w_scale: torch.Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        operands_of([x], [x_scale], [w], [w_scale], torch.bfloat16)


def test_parts_must_fit_together() -> None:
    x, one = _codes(2, 8), torch.ones(())
    with pytest.raises(ValueError, match="same number of rows"):
        scales = [torch.ones(2, 1)] * 2
        operands_of([x, x], scales, [_codes(4, 8), _codes(5, 8)], [one, one], torch.bfloat16)
    with pytest.raises(ValueError, match=r"not torch\.int32"):
        operands_of([x], [torch.ones(2, 1)], [_codes(4, 8)], [one], torch.int32)


def test_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda")
    assert cuda.why_not(torch.device("cpu"), 8, 8) == "'cpu' is no CUDA device"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cuda.why_not(device, 8, 8) == "there is no CUDA device here"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 0))
    assert cuda.why_not(device, 8, 8) == "int8 needs compute capability 7.5, not 7.0"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert cuda.why_not(device, 5460, 6912) is None
    assert cuda.why_not(device, 13, 7) is None
    assert "1 to 132104 columns" in str(cuda.why_not(device, 8, 200_000))
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert "AMD" in str(cuda.why_not(device, 8, 8))
