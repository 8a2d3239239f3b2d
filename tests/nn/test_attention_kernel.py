"""The name of the kernel that attends, asked of PyTorch as far as a CPU has one."""

import pytest
import torch

from bitnet.nn import LinearSpec, ModelShape
from bitnet.nn.attention_kernel import AttentionKernel, attention_kernel

CPU = torch.device("cpu")


def _kernel(
    shape: ModelShape, dtype: torch.dtype, masked: bool = False, compiled: bool = False
) -> AttentionKernel:
    return attention_kernel(shape, LinearSpec(), dtype, CPU, 32, masked, compiled)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kv_heads", [None, 2])
@pytest.mark.parametrize("masked", [False, True])
def test_eager_passes_are_fused(dtype: torch.dtype, kv_heads: int | None, masked: bool) -> None:
    found = _kernel(ModelShape(kv_heads=kv_heads), dtype, masked)
    assert found == ("scaled_dot_product_attention, flash", True)


def test_plain_products_are_named() -> None:
    """The CPU's fused kernel takes no mask of three dimensions, which ALiBi's is."""
    name, fused = _kernel(ModelShape(position="alibi"), torch.float32)
    assert not fused and "plain products" in name


def test_compiled_passes_have_kernels_of_their_own() -> None:
    assert _kernel(ModelShape(), torch.float32, compiled=True).name.startswith("blocks of rows")
    cuda = torch.device("cuda")  # answered without asking the device
    tiled = attention_kernel(ModelShape(), LinearSpec(), torch.bfloat16, cuda, 32, True, True)
    assert tiled.fused and tiled.name.startswith("FlexAttention")
