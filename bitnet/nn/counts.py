"""How many parameters a model has and how many operations a token costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bitnet.nn.attention import Attention
from bitnet.nn.bit_linear import BitLinear
from bitnet.nn.linear import DenseLinear
from bitnet.quant import binary_reference_engine, reference_engine, select_engine

if TYPE_CHECKING:
    from bitnet.nn.surveyed import Surveyed


def parameter_counts(model: Surveyed) -> dict[str, int]:
    """Parameters by what becomes of them.

    Returns:
        ``total``; ``ternary`` (weights of BitLinear layers, those of one bit included; 0 in a dense
        model); ``embedding`` (the tables of tokens and positions, and the output head if it has its
        own); ``other`` (norm gains, biases, and the matrices of a dense model).
    """
    total = sum(p.numel() for p in model.parameters())
    ternary = sum(m.weight.numel() for m in model.modules() if isinstance(m, BitLinear))
    tables = [model.embedding.weight, model.head.weight]
    tables += [None if model.positions is None else model.positions.weight]
    embedding = sum(table.numel() for table in tables if table is not None)
    other = total - ternary - embedding
    return {"total": total, "ternary": ternary, "embedding": embedding, "other": other}


def flops_per_token(model: Surveyed, sequence_length: int) -> float:
    """Floating-point operations to train on one token, forward and backward.

    Formula: ``3 * (2 * matrices + sum over attentions of 4 * heads * head_width * T / 2)``.
    Matrices are those of the blocks and the output head, at 2 operations a weight; attention's two
    products cost ``4 * heads * head_width`` for each token looked at, of which a causal one has
    T / 2 on average. Attentions inside stage layers count like the others. Backward costs twice
    forward. Norms, activations and quantisers are left out.
    """
    matrices = sum(m.weight.numel() for m in model.modules() if isinstance(m, DenseLinear))
    matrices += model.shape.vocabulary * model.shape.table_width
    attentions = (m for m in model.modules() if isinstance(m, Attention))
    looks = sum(2 * m.heads * m.head_width * sequence_length for m in attentions)
    return 3.0 * (2 * matrices + looks)


def eight_bit_flops_per_token(model: Surveyed, device: torch.device | None = None) -> float:
    """Of :func:`flops_per_token`, the operations that are done in 8 bits as things stand.

    Forward products of the integer engines, 2 a weight, and where the engine's name says so the
    input gradient, 2 more. None while quantisation is still brought in by degrees.

    Args:
        model: whose layers are asked.
        device: where it will run; ``None``: where it is.
    """
    slow = (reference_engine, binary_reference_engine)
    operations = 0.0
    for layer in model.ternary_layers().values():
        rows, columns = layer.weight.shape
        place = device or layer.weight.device
        engine = select_engine(layer.engine_name, place, (rows, columns), layer.kind)
        if engine in slow or layer.blended:
            continue
        gradient = 2 if layer.engine_name.startswith("int8_grad") else 0
        operations += (2 + gradient) * rows * columns
    return operations
