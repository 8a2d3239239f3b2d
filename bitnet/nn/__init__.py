"""One Transformer, and the linear layers it can be made of."""

from bitnet.nn.bit_linear import BitLinear
from bitnet.nn.cache import KVCache
from bitnet.nn.linear import DenseLinear
from bitnet.nn.linear_spec import LinearSpec, StageSpec
from bitnet.nn.norm import RMSNorm
from bitnet.nn.passes import PassSpec
from bitnet.nn.shape import ModelShape
from bitnet.nn.shape_rules import combination_problems
from bitnet.nn.transformer import Transformer

__all__ = [
    "BitLinear",
    "DenseLinear",
    "KVCache",
    "LinearSpec",
    "ModelShape",
    "PassSpec",
    "RMSNorm",
    "StageSpec",
    "Transformer",
    "combination_problems",
]
