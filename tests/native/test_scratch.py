"""Memory that kernels are lent: of the size they ask for, and of any content."""

import ctypes
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from bitnet.native import scratch
from bitnet.nn.cpu_attention import kernel as attention
from bitnet.nn.cpu_norm import kernel as norm
from bitnet.quant import held_codes
from bitnet.quant.engines.cpu import kernels, products

BEHIND = 4096
"""Bytes behind what a kernel asks for, in which it may not write."""

Results = list[Tensor]


class _Filled:
    """Lends memory that holds one byte everywhere, and looks afterwards at what lies behind it."""

    def __init__(self, byte: int) -> None:
        self._byte = byte
        self._lent: list[tuple[int, Tensor]] = []

    def __call__(self, size: int) -> Tensor:
        memory = torch.full((size + BEHIND,), self._byte, dtype=torch.uint8)
        self._lent.append((size, memory))
        return memory

    def check(self) -> None:
        assert self._lent
        for size, memory in self._lent:
            assert (memory[size:] == self._byte).all()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _check(run: Callable[[], Results], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits from memory of zeros, and of what is NaN in every format, on 1 or 2 threads."""
    found = []
    for byte in (0, 0xFF):
        for threads in (1, 2):
            lend = _Filled(byte)
            monkeypatch.setattr(scratch, "scratch", lend)
            torch.set_num_threads(threads)
            found.append([_bits(x) for x in run()])
            lend.check()
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def _bits(x: Tensor) -> Tensor:
    return x.contiguous().view(torch.uint8)


def _skip_unless(reason: str | None) -> None:
    if reason is not None:
        pytest.skip(f"no kernel here: {reason}")


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator).bfloat16()


def _codes(generator: torch.Generator, most: int, *shape: int) -> Tensor:
    return torch.randint(-most, most + 1, shape, dtype=torch.int8, generator=generator)


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1), (3, 5, 7), (15, 33, 65), (113, 70, 130), (86, 2049, 33), (2051, 90, 100)],
    ids=str,
)
def test_products_do_not_depend_on_it(
    shape: tuple[int, int, int], generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    _skip_unless(kernels.why_not())
    rows, outs, width = shape
    x, x_scale = _codes(generator, 127, rows, width), torch.rand(rows, 1, generator=generator)
    weights = [held_codes(_codes(generator, 1, outs + 8 * n, width)) for n in range(3)]
    grads = [_normal(generator, rows, outs + 8 * n) for n in range(3)]
    scales = list(torch.rand(3, generator=generator))

    def run() -> Results:
        made = []
        for dtype in (torch.float32, torch.bfloat16):
            made.append(products.product(x, x_scale, weights[0], scales[0], dtype))
            own = [g.to(dtype) for g in grads]
            made.append(products.input_gradient(own, weights, scales, width, True))
        made.append(products.input_gradient(grads, weights, scales, width, False))
        made.append(products.weight_gradient(grads[0], x, x_scale, torch.float32))
        return made

    _check(run, monkeypatch)


@pytest.mark.parametrize("width", [2, 14, 28, 64, 98], ids=str)
@pytest.mark.parametrize("length", [1, 33, 113, 300], ids=str)
@pytest.mark.parametrize("marked", [False, True])
def test_attention_does_not_depend_on_it(
    width: int,
    length: int,
    marked: bool,
    generator: torch.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _skip_unless(attention.why_not())
    q, dy = (_normal(generator, 2, 4, length, width) for _ in range(2))
    k, v = (_normal(generator, 2, 2, length, width) for _ in range(2))
    slopes = torch.rand(4, generator=generator) if marked else None
    documents = (torch.arange(length) // 50).expand(2, length) if marked else None

    def run() -> Results:
        y, totals = attention.forward(q, k, v, width**-0.5, slopes, documents)
        own = attention.backward(q, k, v, y, totals, dy, width**-0.5, slopes, documents)
        return [y, totals, *own]

    _check(run, monkeypatch)


@pytest.mark.parametrize("shape", [(0, 16), (1, 1), (3, 33), (200, 70), (65, 1408)], ids=str)
def test_norms_do_not_depend_on_it(
    shape: tuple[int, int], generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    _skip_unless(norm.why_not())
    gate, up, dy = (_normal(generator, *shape) for _ in range(3))
    gain = torch.rand(shape[1], generator=generator)
    own_inverse = torch.rand(shape[0], 1, generator=generator)

    def run() -> Results:
        made = []
        for activation in norm.ACTIVATIONS:
            y, inverse_rms = norm.forward(gate, up, gain, 1e-5, activation)
            d_up, d_gain = dy.clone(), torch.empty(shape[1])
            d_gate = norm.backward(d_up, d_gain, gate, up, gain, inverse_rms, activation)
            made += [y, inverse_rms, d_up, d_gain, d_gate]
        dx, d_gain = dy.clone(), torch.empty(shape[1])
        norm.norm_backward(dx, d_gain, gate, gain, own_inverse)
        return [*made, dx, d_gain]

    _check(run, monkeypatch)


def test_a_kernel_is_asked_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[int, bool]] = []
    size = 2**33 + 5  # more than a C int holds

    @ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
    def kernel(number: int, memory: int | None) -> int:
        heard.append((number, memory is None))
        return size

    asked = []
    monkeypatch.setattr(scratch, "scratch", lambda size: asked.append(size) or torch.empty(1))
    scratch.run_with_scratch(kernel, ctypes.c_int64(7))
    assert heard == [(7, True), (7, False)] and asked == [size]


def test_memory_is_never_null() -> None:
    assert scratch.scratch(0).data_ptr() and scratch.scratch(100).numel() == 100
