"""Whether every engine trains what the reference trains, on the device at hand and at small cost.

One model is built twice with the same weights: with the reference engine in fp32, eager, and with
the engine in question. Loss and all gradients of a batch are compared. What an engine may differ by
is stated here: rounding of its scales, codes that flip where two roundings meet, and for 8-bit
gradients their own rounding (0.8 % of a product in int8, 2.6 % in e4m3), carried through the
layers. In bf16 every product is rounded as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.train.roster import ENGINES
from benchmarks.train.shapes import SHAPES, Shape
from benchmarks.train.worker import brief
from bitnet.nn import LinearSpec, Transformer

REFERENCE = "reference"
_LIMITS = {"reference": 1e-5, "int8": 0.01, "int8_grad8": 0.05, "int8_grad_e4m3": 0.12}
_LIMIT_BF16 = 0.15
_SHAPE = replace(SHAPES["tiny"], dim=128, heads=2, ffn_dim=352, batch=4)


@dataclass(frozen=True)
class Passed:
    """What one pass forward and backward gave."""

    loss: float
    gradients: Tensor


def compare(device: str, compiled: bool, shape: Shape = _SHAPE) -> list[dict[str, Any]]:
    """Hold every engine against the reference.

    Args:
        device: ``cpu`` or ``cuda``.
        compiled: also compare what runs trainings: bf16, compiled.
        shape: of the model and its batch.

    Returns:
        A row an engine and way to run it: ``engine``, ``compute``, ``loss_error`` (relative),
        ``gradient_error`` (norm of the difference to the norm), ``limit`` of the latter, ``right``;
        or ``note`` where it is not to be had.
    """
    truth = _pass(REFERENCE, shape, device, torch.float32, compiled=False)
    ways = [(torch.float32, False), *([(torch.bfloat16, True)] if compiled else [])]
    rows = [_row(name, shape, device, way, truth) for name in ENGINES for way in ways]
    return rows


def _row(
    name: str, shape: Shape, device: str, way: tuple[torch.dtype, bool], truth: Passed
) -> dict[str, Any]:
    compute, compiled = way
    row: dict[str, Any] = {"engine": name, "compute": str(compute).removeprefix("torch.")}
    row |= {"compiled": compiled}
    try:
        found = _pass(name, shape, device, compute, compiled)
    except ValueError as error:  # of which EngineUnavailableError is one
        return row | {"note": brief(error)}
    limit = _LIMITS[name] if compute == torch.float32 else _LIMIT_BF16
    loss = abs(found.loss / truth.loss - 1)
    difference = float((found.gradients - truth.gradients).norm() / truth.gradients.norm())
    right = loss <= limit / 10 and difference <= limit
    return row | {
        "loss_error": loss,
        "gradient_error": difference,
        "limit": limit,
        "right": right,
    }


def _pass(name: str, shape: Shape, device: str, compute: torch.dtype, compiled: bool) -> Passed:
    torch.manual_seed(0)
    model = Transformer(shape.model(), LinearSpec("bitnet", name), compute).to(device)
    if compiled:
        torch._dynamo.reset()
        model.compile_blocks()
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(shape.vocab, (shape.batch, shape.length + 1), generator=generator)
    tokens = tokens.to(device)
    loss, _ = model.loss(tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    gradients = [p.grad.float().flatten() for p in model.parameters() if p.grad is not None]
    return Passed(loss.item(), torch.cat(gradients))
