"""What a trace says is kept for backward is what a real pass keeps, byte for byte."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.planning import Place, trace
from tests.planning.shapes import CASES, LINEARS, LLAMA, SHAPES

pytestmark = pytest.mark.usefixtures("fresh_compiler")

BATCH, LENGTH = 2, 64


def really_kept(
    shape: ModelShape,
    linear: LinearSpec,
    dtype: torch.dtype,
    compiled: bool = False,
    length: int = LENGTH,
) -> float:
    net = Transformer(shape, linear, dtype)
    if compiled:
        net.compile_blocks()
    tokens = torch.randint(shape.vocabulary, (BATCH, length + 1))
    kept: dict[int, Tensor] = {}

    def save(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with saved_tensors_hooks(save, lambda tensor: tensor):
        loss = net.nll(tokens[:, :-1], tokens[:, 1:]).mean()
    own = {each.untyped_storage().data_ptr() for each in (*net.parameters(), *net.buffers())}
    loss.backward()
    storages = (each.untyped_storage() for key, each in kept.items() if key not in own)
    return float(sum(each.nbytes() for each in storages))


def place(
    dtype: torch.dtype,
    compiled: bool = False,
    device: str = "cpu",
    batch: int = BATCH,
    length: int = LENGTH,
) -> Place:
    return Place(device, dtype, compiled, batch, length)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize(("shape", "linear"), CASES)
def test_an_eager_pass_keeps_what_is_said(shape: str, linear: str, dtype: torch.dtype) -> None:
    planned = trace(SHAPES[shape], LINEARS[linear], place(dtype)).saved
    real = really_kept(SHAPES[shape], LINEARS[linear], dtype)
    assert planned == pytest.approx(real, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("linear", ["dense", "bitnet"])
def test_a_compiled_pass_keeps_what_is_said(linear: str) -> None:
    # Longer than one block of attention: within one, the compiler keeps its scores.
    shape, length = replace(LLAMA, dim=128, ffn_dim=352, max_sequence_length=256), 256
    try:
        real = really_kept(shape, LINEARS[linear], torch.bfloat16, True, length)
    finally:
        torch._dynamo.reset()
    planned = trace(shape, LINEARS[linear], place(torch.bfloat16, True, length=length)).saved
    assert planned == pytest.approx(real, rel=0.02)


def test_depth_is_extrapolated_exactly() -> None:
    deep = replace(LLAMA, layers=7)
    planned = trace(deep, LINEARS["bitnet"], place(torch.float32))
    assert planned.saved == pytest.approx(
        really_kept(deep, LINEARS["bitnet"], torch.float32), rel=1e-3
    )
    one_less = trace(replace(LLAMA, layers=6), LINEARS["bitnet"], place(torch.float32))
    assert planned.saved - one_less.saved == planned.block


def test_activations_follow_the_batch_and_weight_copies_do_not() -> None:
    small, large = (
        trace(LLAMA, LINEARS["dense"], place(torch.bfloat16, batch=batch)) for batch in (2, 8)
    )
    assert large.activations == pytest.approx(4 * small.activations, rel=0.02)
    assert large.logits == 4 * small.logits
    assert large.weight_copies == small.weight_copies > 0


def test_compiling_keeps_less() -> None:
    for linear in ("dense", "bitnet"):
        eager, compiled = (
            trace(LLAMA, LINEARS[linear], place(torch.bfloat16, compiled=flag)).saved
            for flag in (False, True)
        )
        assert compiled < 0.7 * eager


def test_codes_are_two_bits_a_ternary_weight_on_a_cpu_and_a_byte_on_a_gpu() -> None:
    net = Transformer(LLAMA, LINEARS["bitnet"])
    weights = net.parameter_counts()["ternary"]
    for device, bits in (("cpu", 2), ("cuda", 8)):
        kept = trace(LLAMA, LINEARS["bitnet"], place(torch.float32, device=device))
        assert weights * bits / 8 <= kept.codes < weights * bits / 8 + 1000  # and a scale a layer
    assert trace(LLAMA, LINEARS["dense"], place(torch.float32)).codes == 0


def test_the_engine_is_the_one_that_device_would_run() -> None:
    """Without int8 products there, auto is the reference engine, which keeps bf16 weights."""
    fast, slow = (
        trace(LLAMA, LINEARS["bitnet"], place(torch.bfloat16, device=device))
        for device in ("cuda", "mps")
    )
    assert slow.weight_copies > 1.3 * fast.weight_copies
