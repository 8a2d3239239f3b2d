"""Ways to multiply quantised activations with ternary weights; all have the same forward pass."""

from bitnet.quant.engines.blended import BlendedEngine
from bitnet.quant.engines.contract import Engine, EngineUnavailableError
from bitnet.quant.engines.cuda import register
from bitnet.quant.engines.int8 import int8_engine, int8_grad8_engine, int8_grad_e4m3_engine
from bitnet.quant.engines.packed_rows import held_codes, pack_rows, packed_width, unpack_rows
from bitnet.quant.engines.reference import binary_reference_engine, reference_engine
from bitnet.quant.engines.select import (
    ENGINE_NAMES,
    check_engine_name,
    describe_engines,
    select_engine,
)

__all__ = [
    "ENGINE_NAMES",
    "BlendedEngine",
    "Engine",
    "EngineUnavailableError",
    "binary_reference_engine",
    "check_engine_name",
    "describe_engines",
    "held_codes",
    "int8_engine",
    "int8_grad8_engine",
    "int8_grad_e4m3_engine",
    "pack_rows",
    "packed_width",
    "reference_engine",
    "select_engine",
    "unpack_rows",
]

register()
