"""The CPU kernels that are not products beside what they replace, in alternation, by one command.

``python -m benchmarks.cpu_kernels`` times forward and backward of attention and of the middle of a
feed-forward layer in bf16 and prints a table: ours, what the compiler makes of the plain formula,
and PyTorch's fused attention.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention, silu

from benchmarks.gpu_clock import Clock
from bitnet.nn.blocked_attention import blocked_attention
from bitnet.nn.cpu_attention import cpu_attention
from bitnet.nn.cpu_norm import gated_norm
from bitnet.nn.norm import RMSNorm

_ATTENTION = ((8, 8, 512), (4, 12, 1024), (2, 32, 2048))
"""Batch, heads, tokens; heads of 64 channels."""
_MIDDLES = ((4096, 1408), (4096, 4096), (4096, 5460))
"""Tokens, hidden units."""
_WIDTH = 64

Call = Callable[[], Any]


def main() -> None:
    """Time both and print a table of medians in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="timed calls of each contender")
    clock = Clock("cpu", parser.parse_args().rounds)
    print("| forward + backward, ms | compiled formula | PyTorch's own | ours |")
    print("| --- | ---: | ---: | ---: |")
    for batch, heads, length in _ATTENTION:
        label = f"attention, batch {batch}, heads {heads}, tokens {length}"
        _row(label, clock.rounds(attention_calls(batch, heads, length)))
    for tokens, units in _MIDDLES:
        label = f"SwiGLU and its norm, tokens {tokens}, units {units}"
        _row(label, clock.rounds(middle_calls(tokens, units)))


def attention_calls(batch: int, heads: int, length: int) -> dict[str, Call]:
    """Contenders' forward and backward of causal attention."""
    size = (batch, length, heads, _WIDTH)
    q, k, v, dy = (torch.randn(size, dtype=torch.bfloat16).transpose(1, 2) for _ in range(4))
    scale = _WIDTH**-0.5
    ways = {
        "compiled": torch.compile(partial(blocked_attention, scale=scale)),
        "torch": partial(scaled_dot_product_attention, is_causal=True),
        "ours": partial(cpu_attention, scale=scale),
    }
    return {name: partial(_both, way, (q, k, v), dy) for name, way in ways.items()}


def middle_calls(tokens: int, units: int) -> dict[str, Call]:
    """Contenders' forward and backward of ``norm(silu(gate) * up)``."""
    gate, up, dy = (torch.randn(tokens, units, dtype=torch.bfloat16) for _ in range(3))
    norm = RMSNorm(units, 1e-5)

    def formula(gate: Tensor, up: Tensor) -> Tensor:
        return norm(silu(gate) * up)

    def kernel(gate: Tensor, up: Tensor) -> Tensor:
        return gated_norm(gate, up, norm.weight, norm.eps, "silu")

    ways = {"compiled": torch.compile(formula), "ours": torch.compile(kernel)}
    return {name: partial(_both, way, (gate, up), dy) for name, way in ways.items()}


def _both(way: Callable[..., Tensor], inputs: tuple[Tensor, ...], dy: Tensor) -> None:
    way(*(each.detach().requires_grad_() for each in inputs)).backward(dy)


def _row(label: str, times: Mapping[str, list[float]]) -> None:
    cells = (f"{median(times[name]):.1f}" if name in times else "" for name in _COLUMNS)
    print(f"| {label} | {' | '.join(cells)} |", flush=True)


_COLUMNS = ("compiled", "torch", "ours")

if __name__ == "__main__":
    main()
