"""What a ternary training step costs next to its dense twin: time, and peak memory.

A step is forward, backward and a fused AdamW update, including the requantisation of the weights
it causes. All contenders are the same compiled Transformer in bf16 with fp32 masters and differ in
the linear layers alone. They take turns within one run, so that a noisy machine treats all alike,
and a ratio is the median over rounds of the ratios within a round.

Peak memory comes from a fresh process for each contender: the high-water mark of its resident set
over steps after compilation, less what was resident before the model was built (on CUDA: the
allocator's own peak).

Run it: ``python -m benchmarks.train_step --output FILE``
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import nn

from bitnet.nn import BitLinear, LinearSpec, ModelShape, Transformer

CONTENDERS = {
    "dense": LinearSpec("dense"),
    "bitnet-int8": LinearSpec("bitnet", "int8"),
    "bitnet-reference": LinearSpec("bitnet", "reference"),
    "transformers-online": LinearSpec("bitnet", "reference"),
}
DEFAULT = ("dense", "bitnet-int8", "bitnet-reference")


@dataclass
class Shape:
    """What is trained: the model and its batch."""

    dim: int = 512
    layers: int = 8
    heads: int = 8
    ffn_dim: int = 1408
    vocab: int = 4096
    batch: int = 8
    length: int = 512

    @property
    def label(self) -> str:
        model = f"d{self.dim}-l{self.layers}-h{self.heads}-f{self.ffn_dim}-v{self.vocab}"
        return f"{model} {self.batch}x{self.length}"


class PeerLinear(nn.Module):
    """The online quantisation of ``transformers.integrations.bitnet``, around our master weight."""

    norm = None

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        from transformers.integrations.bitnet import ActQuant, WeightQuant

        weight = WeightQuant.apply(self.weight).to(x.dtype)
        return nn.functional.linear(ActQuant.apply(x), weight)


class Contender:
    """A compiled model, its optimizer and one batch."""

    def __init__(self, name: str, shape: Shape, device: str) -> None:
        torch.manual_seed(0)
        sizes = ModelShape(
            name=name,
            dim=shape.dim,
            layers=shape.layers,
            heads=shape.heads,
            ffn_dim=shape.ffn_dim,
            vocab_size=shape.vocab,
            max_sequence_length=shape.length,
        )
        self.model = Transformer(sizes, CONTENDERS[name], torch.bfloat16).to(device)
        if name == "transformers-online":
            _swap_in_peer(self.model)
        self.model.compile_blocks()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)
        generator = torch.Generator().manual_seed(1)
        tokens = torch.randint(shape.vocab, (shape.batch, shape.length + 1), generator=generator)
        self.tokens = tokens.to(device)

    def step(self) -> float:
        """Take one step; seconds it took."""
        _synchronise(self.tokens.device)
        start = perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        self.model.nll(self.tokens[:, :-1], self.tokens[:, 1:]).mean().backward()
        self.optimizer.step()
        self.model.refresh_codes()
        _synchronise(self.tokens.device)
        return perf_counter() - start


def _swap_in_peer(model: Transformer) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BitLinear):
                setattr(parent, name, PeerLinear(child.weight))


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def run(
    output: Path | None = None,
    contenders: tuple[str, ...] = DEFAULT,
    rounds: int = 9,
    shape: Shape | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Measure, print a table, and write the report if a file is given.

    Args:
        output: JSON file, or ``None``.
        contenders: names from ``CONTENDERS``; dense comes first and is the measure.
        rounds: timed steps of each.
        shape: what is trained.
        device: ``cpu`` or ``cuda``.
        say: where lines go.

    Returns:
        A row a contender: shape, contender, milliseconds (median), ratio_to_dense, peak_bytes,
        compile_seconds.
    """
    shape = shape or Shape()
    names = ("dense", *(name for name in contenders if name != "dense"))
    seconds, first = _times(names, shape, device, rounds)
    rows = []
    for name in names:
        ratios = [a / b for a, b in zip(seconds[name], seconds["dense"], strict=True)]
        row = {
            "shape": shape.label,
            "contender": name,
            "milliseconds": round(median(seconds[name]) * 1e3, 1),
            "fastest_milliseconds": round(min(seconds[name]) * 1e3, 1),
            "ratio_to_dense": round(median(ratios), 4),
            "peak_bytes": _peak_of_fresh_process(name, shape, device),
            "compile_seconds": round(first[name], 1),
        }
        rows.append(row)
    _print_table(rows, say)
    if output is not None:
        report = {"machine": _machine(), "versions": _versions(), "rows": rows}
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(report, indent=1) + "\n")
    return rows


def _times(
    names: tuple[str, ...], shape: Shape, device: str, rounds: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of every timed step, and of the first one (which compiles)."""
    made = {name: Contender(name, shape, device) for name in names}
    first = {name: contender.step() for name, contender in made.items()}
    for contender in made.values():
        contender.step()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        order = names if turn % 2 == 0 else names[::-1]
        for name in order:
            seconds[name].append(made[name].step())
    return seconds, first


def _peak_of_fresh_process(name: str, shape: Shape, device: str) -> int:
    command = [sys.executable, "-m", "benchmarks.train_step", "--device", device]
    command += ["--threads", str(torch.get_num_threads()), "--peak-of", name]
    command += ["--shape", json.dumps(asdict(shape))]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return int(done.stdout.strip().splitlines()[-1])


def _peak(name: str, shape: Shape, device: str) -> int:
    """Peak bytes of training steps in this process."""
    before = _status_bytes("VmRSS")
    contender = Contender(name, shape, device)
    contender.step()
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back
    for _ in range(2):
        contender.step()
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return _status_bytes("VmHWM") - before


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}; peak memory needs Linux")


def _machine() -> dict[str, Any]:
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    return {
        "cpu": model,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
    }


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": version("torch")}


def _print_table(rows: list[dict[str, Any]], say: Callable[[str], None]) -> None:
    say(rows[0]["shape"])
    say(f"{'contender':<20} {'ms':>8} {'fastest':>8} {'ratio':>7} {'peak MiB':>9} {'compile s':>9}")
    for row in rows:
        say(
            f"{row['contender']:<20} {row['milliseconds']:>8.0f} "
            f"{row['fastest_milliseconds']:>8.0f} {row['ratio_to_dense']:>7.3f} "
            f"{row['peak_bytes'] / 2**20:>9.0f} {row['compile_seconds']:>9.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shape", type=json.loads, default={}, help="JSON, e.g. '{\"dim\": 768}'")
    parser.add_argument("--peak-of", choices=CONTENDERS, help="print one peak in bytes; internal")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    shape = Shape(**args.shape)
    if args.peak_of:
        print(_peak(args.peak_of, shape, args.device))
    else:
        run(args.output, tuple(args.contenders), args.rounds, shape, args.device)


if __name__ == "__main__":
    main()
