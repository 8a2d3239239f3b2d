"""The products of a ternary layer on a GPU: are they right, and how long do they take?

Every product of the published shapes, forward (one part) and input gradient (a part for each weight
that read the input), by all our ways, and by what a dense bf16 layer does in its place. Each way is
first held bit by bit against the formula. Then all take turns, round by round, with the L2 cache
flushed before each, and the median of a contender's times is set against its roofline.

Run it: ``python -m benchmarks.gpu_engines`` writes ``benchmarks/results/gpu_engines.{json,md}``.
``--tiny`` runs it on a machine without a GPU, in Triton's interpreter: a rehearsal, not a number.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

# Triton reads it at its import.
if "--tiny" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"

import torch
from torch import Tensor

from benchmarks import gpu_roofline
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_report import write
from benchmarks.gpu_shapes import FULL, TINY, Product
from bitnet.nn.norm import RMSNorm
from bitnet.quant.activation import gradient_codes, int8_codes
from bitnet.quant.engines.cuda import gradient
from bitnet.quant.engines.cuda.int_mm import has_triton
from bitnet.quant.engines.cuda.operands import Operands, operands_of
from bitnet.quant.engines.cuda.stopwatch import exact_rows, problem_of, sampled_rows
from bitnet.quant.engines.cuda.ways import device_facts, ways_for

RESULTS = Path(__file__).parent / "results"
Call = Callable[[], Any]


def drawn(product: Product, m: int, device: str) -> Operands:
    """Random operands: codes as the quantisers make them of Gaussian rows and weights."""
    quantise = gradient_codes if product.backward else int8_codes
    parts = [quantise(torch.randn(m, k, device=device)) for k in product.depths]
    weights = [torch.randint(-1, 2, (product.n, k), device=device) for k in product.depths]
    scales = [torch.rand((), device=device) * 0.02 for _ in product.depths]
    codes = [w.to(torch.int8) for w in weights]
    # The interpreter rounds to bf16 in a way of its own, which would count as wrong numbers.
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    return operands_of([c for c, _ in parts], [s for _, s in parts], codes, scales, dtype)


def contenders_of(operands: Operands, product: Product) -> tuple[dict[str, Call], list[str]]:
    """What is timed, by name, and the ways that gave wrong numbers or none."""
    device = operands.device
    capability, processors = (9, 0), 2
    if device.type == "cuda":
        capability, processors, _ = device_facts(device)
    rows = sampled_rows(operands)
    truth = exact_rows(operands, rows)
    calls, wrong = dense_of(operands), []
    for name, way in ways_for(operands, capability, processors).items():
        problem = problem_of(way, operands, rows, truth)
        if problem:
            wrong.append(f"{product.name}: {name}: {problem}")
        else:
            calls[name] = partial(way, operands)
    if product.backward and gradient.why_not_e4m3(device) is None:
        calls |= e4m3_of(operands)
    return calls, wrong


def dense_of(operands: Operands) -> dict[str, Call]:
    """What a bf16 layer does: a product, or the sum of several."""
    pairs = [(p.x_codes.bfloat16(), p.w_codes.bfloat16()) for p in operands.parts]

    def call() -> Tensor:
        total = pairs[0][0] @ pairs[0][1].t()
        for x, w in pairs[1:]:
            total = total + x @ w.t()
        return total

    return {"dense bf16": call}


def e4m3_of(operands: Operands) -> dict[str, Call]:
    """The product alone, its operands rounded before, with exact and with fast accumulation."""
    parts = [(p.x_codes.bfloat16(), p.w_codes.t().contiguous(), p.w_scale) for p in operands.parts]

    def call(fast: bool) -> list[Tensor]:
        return [gradient.e4m3_product(g, codes, scale, fast) for g, codes, scale in parts]

    return {"e4m3 with rounding": lambda: call(False), "e4m3 fast": lambda: call(True)}


def product_rows(product: Product, m: int, clock: Clock, wrong: list[str]) -> list[dict[str, Any]]:
    operands = drawn(product, m, clock.device)
    calls, failures = contenders_of(operands, product)
    wrong += failures
    times = {name: median(each) for name, each in clock.rounds(calls).items()}
    bounds = gpu_roofline.product(m, product.n, product.depths)
    return [
        {
            "shape": f"{product.name}: {m} x {product.n} x {'+'.join(map(str, product.depths))}",
            "contender": name,
            "milliseconds": time,
            "ratio_to_dense": time / times["dense bf16"],
            **bounds.row(time, dense=name.startswith("dense")),
        }
        for name, time in times.items()
    ]


def quantiser_rows(width: int, m: int, clock: Clock) -> list[dict[str, Any]]:
    """Norm and rounding of activations: eager, and in one pass."""
    from bitnet.quant.engines.cuda.rows import int8_codes_cuda, norm_int8_codes_cuda

    x = torch.randn(m, width, device=clock.device, dtype=torch.bfloat16)
    norm = RMSNorm(width, 1e-5).to(clock.device)
    calls: dict[str, Call] = {
        "codes, eager": lambda: int8_codes(x),
        "codes, kernel": lambda: int8_codes_cuda(x),
        "norm and codes, eager": lambda: int8_codes(norm(x)),
        "norm and codes, kernel": lambda: norm_int8_codes_cuda(x, norm.weight, norm.eps),
    }
    if x.is_cuda:
        compiled = torch.compile(lambda: int8_codes(norm(x)))
        calls["norm and codes, compiled"] = compiled
    bounds = gpu_roofline.rounding(m, width)
    with torch.no_grad():
        times = {name: median(each) for name, each in clock.rounds(calls).items()}
    return [
        {"shape": f"{m} x {width}", "contender": n, "milliseconds": t, **bounds.row(t, dense=False)}
        for n, t in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="small shapes, without a GPU")
    parser.add_argument("--rows", type=int, nargs="+", default=None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=RESULTS / "gpu_engines.json")
    args = parser.parse_args()
    if not has_triton() or not (args.tiny or torch.cuda.is_available()):
        sys.exit("this needs Triton and a CUDA device; --tiny needs Triton alone")
    torch.manual_seed(0)
    clock = Clock("cpu" if args.tiny else "cuda", 2 if args.tiny else args.rounds)
    rows: list[dict[str, Any]] = []
    wrong: list[str] = []
    for m in args.rows or ([24] if args.tiny else [8192, 32768]):
        for product in TINY if args.tiny else FULL:
            rows += product_rows(product, m, clock, wrong)
        for width in (20, 32) if args.tiny else (1536, 2048, 4096, 5460, 6912):
            rows += quantiser_rows(width, m, clock)
    write(rows, wrong, args.output, clock.device)


if __name__ == "__main__":
    main()
