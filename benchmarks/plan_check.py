"""What ``bitnet plan`` says of memory against what training really takes.

A mid-size model, so large that its tensors dwarf the libraries, takes some optimizer steps in a
fresh process; the process's peak less what was resident before the model was built is compared with
the plan. On a CPU it is measured twice: with tensors from the page pool, which is what training
does (``trainer.cpu_allocator=pages``), and with those from the C library (``system``), for which
the plan has the kind ``heap`` besides. On CUDA both are the allocator's own peak.

Run it: ``bitnet bench plan_check output=FILE``
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
from typing import Any

import torch

from bitnet.native import page_pool
from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.planning import DEVICES, OptimizerCost, Place, Request, make_plan

LENGTH = 512
ALLOCATORS = {"pages": "", "system": "system_"}
"""Allocators, and what the names of their numbers begin with; a GPU has its own, as the first."""
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class Case:
    """One way to train the model."""

    linear: str
    compute: str
    compiled: bool
    batch: int = 8
    passes: int = 1

    @property
    def label(self) -> str:
        how = "compiled" if self.compiled else "eager"
        return f"{self.linear} {self.compute} {how} {self.passes}x{self.batch}x{LENGTH}"


CASES = (
    *(Case(kind, "bf16", True) for kind in ("dense", "bitnet")),
    *(Case(kind, "bf16", False) for kind in ("dense", "bitnet")),
    *(Case(kind, "fp32", True) for kind in ("dense", "bitnet")),
    *(Case(kind, "fp32", False) for kind in ("dense", "bitnet")),
    Case("bitnet", "bf16", True, batch=2, passes=4),
)


def shape(dim: int = 512, layers: int = 6, ffn_dim: int = 1408, vocab: int = 4096) -> ModelShape:
    return ModelShape(
        name="mid",
        dim=dim,
        layers=layers,
        heads=8,
        ffn_dim=ffn_dim,
        vocab_size=vocab,
        max_sequence_length=LENGTH,
    )


class Training:
    """A model, its optimizer and the steps it takes."""

    def __init__(self, case: Case, sizes: ModelShape, device: str, batch: int) -> None:
        torch.manual_seed(0)
        self.net = Transformer(sizes, LinearSpec(case.linear), DTYPES[case.compute]).to(device)
        if case.compiled:
            self.net.compile_blocks()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3, fused=True)
        self.tokens = torch.randint(sizes.vocabulary, (batch, LENGTH + 1), device=device)
        self.passes = case.passes

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        for _ in range(self.passes):
            self.net.nll(self.tokens[:, :-1], self.tokens[:, 1:]).mean().backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()


def peak(case: Case, device: str) -> int:
    """Peak bytes of steps in this process, which has compiled and multiplied something before."""
    small = Training(case, shape(64, 2, 128, 256), device, 2)
    small.step()
    small.step()
    del small
    gc.collect()
    before = _status_bytes("VmRSS")
    training = Training(case, shape(), device, case.batch)
    training.step()  # compiles
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back
    for _ in range(3):
        training.step()
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return _status_bytes("VmHWM") - before


def planned(case: Case, device: str, allocator: str) -> dict[str, float]:
    """The plan's bytes by kind."""
    named = DEVICES["cpu" if device == "cpu" else "h200"]
    request = Request(
        shape=shape(),
        linear=LinearSpec(case.linear),
        place=Place(
            device,
            DTYPES[case.compute],
            case.compiled,
            case.batch,
            LENGTH,
            page_pool=allocator == "pages",
        ),
        device=named,
        devices=1,
        tokens=1_000_000,
        batch=case.batch * case.passes,
        optimizer=OptimizerCost("AdamW", 8.0, 8.0),
    )
    return make_plan(request).memory.by_kind()


def run(
    output: Path | None = None,
    rounds: int = 9,
    device: str = "cpu",
    say: Callable[[str], None] = print,
    cases: tuple[Case, ...] = CASES,
) -> list[dict[str, Any]]:
    """Measure every case, print a table, and write the report if a file is given.

    Args:
        output: JSON file, or ``None``; a Markdown table is written beside it.
        rounds: of each measurement; a peak hardly varies, so at most the first is taken.
        device: ``cpu`` or ``cuda``.
        say: where lines go.
        cases: what is trained.
    """
    rows = []
    for case in cases:
        rows.append({"shape": "d512-l6-h8-f1408-v4096", "contender": case.label})
        rows[-1] |= _against(case, device, "pages")
        if device == "cpu":
            other = _against(case, device, "system")
            rows[-1] |= {f"system_{name}": value for name, value in other.items()}
        say(_line(rows[-1]))
    if output is not None:
        report = {"machine": _machine(device), "versions": _versions(), "rows": rows}
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(report, indent=1) + "\n")
        output.with_suffix(".md").write_text(_markdown(report))
    return rows


def _against(case: Case, device: str, allocator: str) -> dict[str, Any]:
    """The plan and the measurement with one allocator of tensors."""
    kinds = planned(case, device, allocator)
    total, measured = sum(kinds.values()), _in_fresh_process(case, device, allocator)
    return {
        "planned_bytes": int(total),
        "peak_bytes": measured,
        "ratio": round(total / measured, 3),
        "kinds": {name: int(size) for name, size in kinds.items()},
    }


def _in_fresh_process(case: Case, device: str, allocator: str) -> int:
    command = [sys.executable, "-m", "benchmarks.plan_check", "--device", device]
    command += ["--cpu-allocator", allocator]
    command += ["--threads", str(torch.get_num_threads()), "--case", json.dumps(asdict(case))]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=root, check=True, capture_output=True)
    return int(done.stdout.decode().strip().splitlines()[-1])


def _line(row: dict[str, Any]) -> str:
    parts = []
    for name, prefix in ALLOCATORS.items():
        if f"{prefix}peak_bytes" in row:
            peak, plan = (row[f"{prefix}{key}_bytes"] / 2**20 for key in ("peak", "planned"))
            parts.append(
                f"{name} {peak:6.0f} MiB, planned {plan:6.0f} ({row[f'{prefix}ratio']:.3f})"
            )
    return f"{row['contender']:<34} {'; '.join(parts)}"


def _markdown(report: dict[str, Any]) -> str:
    lines = [
        "# Memory of a training step: plan against measurement",
        "",
        f"{report['rows'][0]['shape']}, AdamW, {report['machine']['name']}, "
        f"torch {report['versions']['torch']}; MiB. Made by `bitnet bench plan_check`, which says",
        "how each is measured: peaks of the process, with tensors from the page pool (the default)",
        "and from the C library (`trainer.cpu_allocator=system`).",
        "",
        "| linear, compute, mode, batch | pages | planned | ratio | system | planned | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in report["rows"]:
        cells = [row["contender"]]
        for prefix in ALLOCATORS.values():
            if f"{prefix}peak_bytes" not in row:
                cells += ["–"] * 3
                continue
            cells += [f"{row[f'{prefix}{key}_bytes'] / 2**20:,.0f}" for key in ("peak", "planned")]
            cells.append(f"{row[f'{prefix}ratio']:.3f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}; peak memory needs Linux")


def _machine(device: str) -> dict[str, Any]:
    if device == "cuda":
        return {"name": torch.cuda.get_device_name(), "threads": torch.get_num_threads()}
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads"
    return {"name": name, "threads": torch.get_num_threads(), "system": platform.platform()}


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": version("torch")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", type=json.loads, required=True, help="print one peak; internal")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu-allocator", default="pages", choices=list(ALLOCATORS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.device == "cpu" and args.cpu_allocator == "pages":
        page_pool.use_pages()
    print(peak(Case(**args.case), args.device))


if __name__ == "__main__":
    main()
