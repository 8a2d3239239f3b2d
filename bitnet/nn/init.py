"""Initial weights. Norm gains start at 1, biases at 0; this is about the matrices.

With L layers and width d; "outputs" are the matrices that write into the residual stream:

- ``normal``: std ``init_std``; outputs ``init_std / sqrt(2 L)`` (GPT-2).
- ``truncated``: the same, cut off at two standard deviations (Cerebras-GPT).
- ``small``: ``sqrt(2 / (5 d))``; outputs ``2 / (L sqrt(d))`` (Nguyen & Salazar, 2019, and Wang's
  rule, as GPT-NeoX and Pythia).
- ``kaiming``: ``sqrt(2 / fan_in)``; outputs divided by ``sqrt(2 L)`` (MosaicML's llm-foundry).
- ``mup``: hidden matrices ``init_std * sqrt(base / d)``, outputs divided by ``sqrt(2 L)``, tables
  ``init_std`` (see :mod:`bitnet.nn.mup`).

Inside a stage layer, d and L are those of the small transformer.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from torch import nn

from bitnet.nn.block import Block
from bitnet.nn.mup import width_ratio
from bitnet.nn.shape import ModelShape

if TYPE_CHECKING:
    from bitnet.nn.transformer import Transformer


def initialise(model: Transformer) -> None:
    """Draw the matrices anew, in the order of the parameters."""
    depths = _output_depths(model)
    tables = {id(table) for table in model.tables()}
    for parameter in model.parameters():
        if parameter.ndim == 2:
            std = _std(model.shape, parameter, id(parameter) in tables, depths.get(id(parameter)))
            _draw(model.shape, parameter, std)


def _draw(shape: ModelShape, parameter: nn.Parameter, std: float) -> None:
    if shape.init == "truncated":
        nn.init.trunc_normal_(parameter, std=std, a=-2 * std, b=2 * std)
    else:
        nn.init.normal_(parameter, std=std)


def _std(shape: ModelShape, parameter: nn.Parameter, is_table: bool, depth: int | None) -> float:
    """Standard deviation of one matrix; ``depth`` is that of the residual stream it writes into."""
    fan_in = parameter.shape[1]
    if shape.init == "small":
        width = parameter.shape[0] if depth else fan_in
        return 2 / (depth * sqrt(width)) if depth else sqrt(2 / (5 * width))
    std = shape.init_std
    if shape.init == "kaiming":
        std = sqrt(2 / fan_in)
    elif shape.init == "mup" and not is_table:
        std *= sqrt(width_ratio(shape))
    return std / sqrt(2 * depth) if depth else std


def _output_depths(model: Transformer) -> dict[int, int]:
    """Matrices that write into a residual stream, by identity, and its number of blocks."""
    found = {}
    for block in model.modules():
        if isinstance(block, Block):
            for layer in (block.attention.o, block.ffn.down):
                found[id(layer.output_weight())] = block.depth
    return found
