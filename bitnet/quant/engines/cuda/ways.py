"""All the ways in which one product can be made on this device, by name.

They return the same bits: the sums are exact integers, and every way multiplies the fp32 of a sum
with the fp32 product of the scales, adds parts in their order and rounds once. So the choice among
them is a matter of time alone; two ranks of a job, or two runs, may choose differently and compute
the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from bitnet.quant.engines.cuda.int_mm import has_triton, multiply_by_library
from bitnet.quant.engines.cuda.operands import Operands, with_depth_multiple_of

Way: TypeAlias = Callable[[Operands], Tensor]

LIBRARY = "int_mm"
# Hopper is the first with a copy engine that takes descriptors.
_DESCRIPTORS_SINCE = (9, 0)
# Before Ampere, Triton has no int8 tensor cores to offer.
_TRITON_SINCE = (8, 0)


def ways_for(operands: Operands, capability: tuple[int, int], processors: int) -> dict[str, Way]:
    """Ways that serve these operands; the first is the one to take unmeasured.

    Args:
        operands: what is multiplied; only sizes and dtype are looked at.
        capability: of the device, such as ``(9, 0)``.
        processors: how many multiprocessors it has.
    """
    ways: dict[str, Way] = {}
    if has_triton() and capability >= _TRITON_SINCE:
        ways |= _triton_ways(operands, capability, processors)
    return ways | {LIBRARY: multiply_by_library}


def _triton_ways(
    operands: Operands, capability: tuple[int, int], processors: int
) -> dict[str, Way]:
    from bitnet.quant.engines.cuda import scaled_mm

    if len(operands.parts) > scaled_mm.MOST_PARTS:
        return {}
    tiles = scaled_mm.tiles_for(operands.m, len(operands.parts))
    ways: dict[str, Way] = {}
    for tile in tiles:
        ways[f"pointers {tile.label}"] = partial(scaled_mm.multiply_by_pointers, tile=tile)
    itemsize = operands.dtype.itemsize
    described = capability >= _DESCRIPTORS_SINCE
    described = described and (operands.n * itemsize) % scaled_mm.ALIGNMENT == 0
    for tile in tiles if described else ():
        if not scaled_mm.fits_with_descriptors(tile, itemsize):
            continue
        # Programs of one warpgroup are small enough for two on a multiprocessor.
        programs = processors * (2 if tile.warps == 4 else 1)
        ways[f"descriptors {tile.label}"] = partial(
            scaled_mm.multiply_by_descriptors, tile=tile, programs=programs
        )
    if any(k % scaled_mm.ALIGNMENT for k in operands.depths):
        return _with_padded_depth(ways, scaled_mm.ALIGNMENT)
    return ways


def _with_padded_depth(ways: dict[str, Way], multiple: int) -> dict[str, Way]:
    """Each way on padded operands, and those through pointers also on the operands as they are."""
    padded = {f"padded {name}": partial(_padded, way, multiple) for name, way in ways.items()}
    return padded | {name: way for name, way in ways.items() if name.startswith("pointers")}


def _padded(way: Way, multiple: int, operands: Operands) -> Tensor:
    return way(with_depth_multiple_of(operands, multiple))


def device_facts(device: torch.device) -> tuple[tuple[int, int], int, str]:
    """Capability, number of multiprocessors and name of a CUDA device."""
    properties = torch.cuda.get_device_properties(device)
    capability = (properties.major, properties.minor)
    return capability, properties.multi_processor_count, properties.name
