"""The kernels compiled for Hopper, which takes no GPU: which instructions they became.

Run by ``test_kernels.py``. A kernel that lost its tensor cores, or spills its registers, gives the
right numbers still, several times slower; and a fused multiply-add gives other ones.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from bitnet.quant.engines.cuda import gemm_kernels, row_kernels, scaled_mm
from bitnet.quant.engines.cuda.scaled_mm import Tile

CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


class Compiled(NamedTuple):
    """PTX, bytes of shared memory, and bytes of stack: what did not fit into registers."""

    ptx: str
    shared: int
    stack: int


def compiled(
    kernel: Any, types: dict[str, str], constants: dict[str, Any], folder: Path, **options: Any
) -> Compiled:
    """A kernel whose pointers and integers are all multiples of 16."""
    signature = {name: types.get(name, "constexpr") for name in kernel.arg_names}
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, kind in enumerate(signature.values())
        if kind.startswith("*") or kind == "i32"
    }
    source = ASTSource(kernel, signature, constants, aligned)
    options = {"enable_fp_fusion": False, **options}
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    cubin = folder / "kernel.cubin"
    cubin.write_bytes(made.asm["cubin"])
    usage = subprocess.run(
        [str(CUOBJDUMP), "-res-usage", str(cubin)], capture_output=True, text=True, check=True
    )
    stack = re.search(r"STACK:(\d+)", usage.stdout + usage.stderr)
    assert stack is not None
    return Compiled(made.asm["ptx"], made.metadata.shared, int(stack[1]))


def product(tile: Tile, parts: int, descriptors: bool, folder: Path) -> Compiled:
    types = {"M": "i32", "N": "i32", "y": "*bf16"}
    for i in range(3):
        types |= {f"x{i}": "*i8", f"w{i}": "*i8", f"x_scale{i}": "*fp32", f"w_scale{i}": "*fp32"}
        types[f"K{i}"] = "i32"
    constants = {"PARTS": parts, "BLOCK_M": tile.m, "BLOCK_N": tile.n, "BLOCK_K": tile.k}
    constants |= {"BAND": tile.band}
    kernel = gemm_kernels.product_by_pointers
    if descriptors:
        kernel = gemm_kernels.product_by_descriptors
        types["y"] = f"tensordesc<bf16[{tile.m}, {tile.n}]>"
        for i in range(3):
            types[f"x{i}"] = f"tensordesc<i8[{tile.m}, {tile.k}]>"
            types[f"w{i}"] = f"tensordesc<i8[{tile.n}, {tile.k}]>"
        constants["DTYPE"] = scaled_mm._TRITON_DTYPES[torch.bfloat16]
    else:
        constants["EVEN"] = False
    launch = {"num_warps": tile.warps, "num_stages": tile.stages}
    return compiled(kernel, types, constants, folder, **launch)


@pytest.mark.parametrize("descriptors", [False, True])
@pytest.mark.parametrize(("tile", "parts"), [(scaled_mm.LARGE[0], 1), (scaled_mm.OF_PARTS[0], 2)])
def test_products(tile: Tile, parts: int, descriptors: bool, tmp_path: Path) -> None:
    made = product(tile, parts, descriptors, tmp_path)
    assert "wgmma.mma_async.sync.aligned" in made.ptx
    assert "s32.s8.s8" in made.ptx
    assert made.stack == 0
    assert made.shared <= 227 * 1024
    assert "fma.rn.f32" not in made.ptx
    assert "cvt.rn.bf16" in made.ptx
    # 16 bytes at a time, or whole tiles.
    copies = "cp.async.bulk.tensor" if descriptors else "cp.async.cg.shared.global"
    assert copies in made.ptx


def test_rounding_of_rows(tmp_path: Path) -> None:
    types = {"x": "*bf16", "codes": "*i8", "scales": "*fp32", "width": "i32", "smallest": "fp32"}
    constants = {"BLOCK": 2048}
    made = compiled(row_kernels.quantise_row, types, constants, tmp_path, num_warps=8)
    assert "div.rn.f32" in made.ptx
    assert "div.full.f32" not in made.ptx
    assert "fma.rn.f32" not in made.ptx
    assert "ld.global.v4" in made.ptx
    assert made.stack == 0
