"""The mathematics of b1.58: quantisers, packed forms and the engines that multiply with them."""

from bitnet.quant.activation import int8_codes, int8_quantize
from bitnet.quant.binary import binary_codes, binary_quantize
from bitnet.quant.engines import (
    ENGINE_NAMES,
    BlendedEngine,
    Engine,
    EngineUnavailableError,
    binary_reference_engine,
    check_engine_name,
    describe_engines,
    held_codes,
    int8_engine,
    int8_grad8_engine,
    int8_grad_e4m3_engine,
    pack_rows,
    packed_width,
    reference_engine,
    select_engine,
    unpack_rows,
)
from bitnet.quant.packing import pack_ternary, unpack_ternary
from bitnet.quant.straight_through import (
    binary_straight_through,
    int8_straight_through,
    ternary_straight_through,
)
from bitnet.quant.ternary import absmean, ternary_codes, ternary_quantize
from bitnet.quant.weights import WEIGHT_CODES, Quantizer

__all__ = [
    "ENGINE_NAMES",
    "WEIGHT_CODES",
    "BlendedEngine",
    "Engine",
    "EngineUnavailableError",
    "Quantizer",
    "absmean",
    "binary_codes",
    "binary_quantize",
    "binary_reference_engine",
    "binary_straight_through",
    "check_engine_name",
    "describe_engines",
    "held_codes",
    "int8_codes",
    "int8_engine",
    "int8_grad8_engine",
    "int8_grad_e4m3_engine",
    "int8_quantize",
    "int8_straight_through",
    "pack_rows",
    "pack_ternary",
    "packed_width",
    "reference_engine",
    "select_engine",
    "ternary_codes",
    "ternary_quantize",
    "ternary_straight_through",
    "unpack_rows",
    "unpack_ternary",
]
