"""Codes of some rows of a weight, for those who hold no more of it.

The scale of a weight belongs to the whole of it. Whoever has summed up the whole can round rows by
themselves, with the formulas of :mod:`bitnet.quant.ternary` and :mod:`bitnet.quant.binary`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bitnet.nn.bit_linear import BitLinear
from bitnet.quant import pack_rows, packed_width, select_engine, unpack_rows
from bitnet.quant.engines import binary_reference_engine, reference_engine
from bitnet.quant.ternary import SMALLEST_SCALE

__all__ = [
    "codes_of_rows",
    "pack_rows",
    "packed_width",
    "reads_masters",
    "scales_of",
    "unpack_rows",
]


def scales_of(sizes: Tensor) -> Tensor:
    """Scales, fp32, from ``mean|W|`` of whole weights."""
    return sizes.float().clamp(min=SMALLEST_SCALE)


def codes_of_rows(rows: Tensor, kind: str, scale: Tensor, mean: Tensor) -> Tensor:
    """int8 codes of the fp32 ``rows`` of a weight.

    Args:
        rows: some rows of it.
        kind: of the quantiser, ``bitnet`` or ``binary``.
        scale: of the whole weight.
        mean: of the whole weight.
    """
    if kind == "binary":
        return (rows - mean).sign().to(torch.int8)
    return (rows * scale.reciprocal()).round().clamp(-1, 1).to(torch.int8)


def reads_masters(layer: BitLinear, device: torch.device) -> bool:
    """Whether the engine that ``layer`` has on ``device`` quantises the master weight itself.

    Raises:
        EngineUnavailableError: the engine cannot run there.
    """
    shape = (layer.weight.shape[0], layer.weight.shape[1])
    engine = select_engine(layer.engine_name, device, shape, layer.kind)
    return engine in (reference_engine, binary_reference_engine)
