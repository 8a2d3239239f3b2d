"""The mathematics of b1.58: quantisers, packed forms and the engines that multiply with them."""

from bitnet.quant.activation import int8_codes, int8_quantize
from bitnet.quant.engines import (
    ENGINE_NAMES,
    Engine,
    EngineUnavailableError,
    check_engine_name,
    int8_engine,
    reference_engine,
    select_engine,
)
from bitnet.quant.packing import pack_ternary, unpack_ternary
from bitnet.quant.straight_through import int8_straight_through, ternary_straight_through
from bitnet.quant.ternary import absmean, ternary_codes, ternary_quantize

__all__ = [
    "ENGINE_NAMES",
    "Engine",
    "EngineUnavailableError",
    "absmean",
    "check_engine_name",
    "int8_codes",
    "int8_engine",
    "int8_quantize",
    "int8_straight_through",
    "pack_ternary",
    "reference_engine",
    "select_engine",
    "ternary_codes",
    "ternary_quantize",
    "ternary_straight_through",
    "unpack_ternary",
]
