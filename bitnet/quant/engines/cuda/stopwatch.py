"""Times the ways of one product on the device, and finds out whether each gives the right numbers.

A kernel that a new compiler breaks must not train a model. So before a way is timed, a sample of
its rows is held, bit by bit, against the same product in fp32, which holds these integers exactly.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median

import torch
from torch import Tensor

from bitnet.quant.engines.cuda.operands import Operands
from bitnet.quant.engines.cuda.ways import Way

_log = logging.getLogger(__name__)

_SAMPLED_ROWS = 64


def sampled_rows(operands: Operands) -> Tensor:
    """Indices of rows from the first to the last, evenly spread."""
    rows = operands.m
    spread = torch.linspace(0, rows - 1, min(rows, _SAMPLED_ROWS), dtype=torch.float64)
    return spread.long().to(operands.device)


def exact_rows(operands: Operands, rows: Tensor) -> Tensor:
    """Some rows of the product, by the formula.

    fp32 holds integers up to 2^24 exactly, in any order of summation, and TF32 holds all codes: so
    this is exact for up to 132,000 codes a row whatever the precision set for fp32 products.
    """
    total: Tensor | None = None
    # An op's kernel runs under its caller's autocast, which would round these sums to bf16.
    with torch.autocast(operands.device.type, enabled=False):
        for x_codes, x_scale, w_codes, w_scale in operands.parts:
            sums = x_codes[rows].float() @ w_codes.float().t()
            part = sums * (x_scale.view(-1, 1)[rows] * w_scale)
            total = part if total is None else total + part
    assert total is not None
    return total.to(operands.dtype)


def times_of(ways: Mapping[str, Way], operands: Operands) -> dict[str, float]:
    """Milliseconds of each way that runs and is right; the others are named in a warning.

    Args:
        ways: what to time.
        operands: on the current CUDA device.
    """
    rows = sampled_rows(operands)
    truth = exact_rows(operands, rows)
    times = {}
    for name, way in ways.items():
        problem = problem_of(way, operands, rows, truth)
        if problem is None:
            times[name] = milliseconds_of(partial(way, operands))
        else:
            _log.warning("int8 product by %s is not used: %s", name, problem)
    return times


def problem_of(way: Way, operands: Operands, rows: Tensor, truth: Tensor) -> str | None:
    """Why a way cannot be used. Compilers and launchers raise errors of many kinds: all count."""
    try:
        got = way(operands)[rows]
    except Exception as error:
        first = (str(error).strip() or repr(error)).splitlines()[0]
        return f"{type(error).__name__}: {first}"
    # A NaN equals itself here: a first batch that has overflowed says nothing about a kernel.
    same = torch.allclose(got, truth, rtol=0.0, atol=0.0, equal_nan=True)
    return None if same else "its numbers are wrong"


def milliseconds_of(call: Callable[[], object], repeats: int = 7) -> float:
    """Median time of a call on the current CUDA device, between events on its stream."""
    events = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        events.append((start, end))
    torch.cuda.synchronize()
    return float(median(start.elapsed_time(end) for start, end in events))
