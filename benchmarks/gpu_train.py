"""Everything about training that has to be measured on a GPU, in one script.

First that every engine computes what the reference computes (a wrong one ends the script), then
``bitnet bench train`` at 700M and 1.3B with a sequence of 2048, then three trainings of about 125M
on prepared tokens: BitNet by its int8 engine, BitNet by the reference, and the dense twin. Tables
and pictures go to ``benchmarks/results``.

    python -m benchmarks.gpu_train correctness bench              # some minutes
    python -m benchmarks.gpu_train twins --tokens DIR             # three runs, about ten minutes
    python -m benchmarks.gpu_train --tiny --tokens DIR            # all of it, on a CPU
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.train.bench import run
from benchmarks.train.correctness import compare
from benchmarks.train.report import versions
from benchmarks.train.runner import HOME
from benchmarks.train.shapes import SHAPES
from benchmarks.train.task import peers_folder
from benchmarks.train.twins import KINDS, Recipe, draw, train_twins
from bitnet.training.compiling import missing_compiler

BUDGET = 80_000_000
TINY = ("precision=fp32", "compile=never", "validation.tokens_per_source=256")


def correctness(given: argparse.Namespace) -> bool:
    """Every engine against the reference; whether all are right."""
    device = "cpu" if given.tiny else "cuda"
    rows = compare(device, compiled=not given.tiny and missing_compiler(device) is None)
    for row in rows:
        way = f"{row['engine']:<16} {row['compute']:<9}{' compiled' if row['compiled'] else ''}"
        told = row.get("note") or (
            f"loss {row['loss_error']:.1e}, gradients {row['gradient_error']:.1e} "
            f"(at most {row['limit']:.1e}): {'right' if row['right'] else 'WRONG'}"
        )
        print(f"{way:<36} {told}", flush=True)
    _write(given, "correctness", {"rows": rows})
    return all(row.get("right", True) for row in rows)


def bench(given: argparse.Namespace) -> bool:
    """The table and the picture of steps; whether the dense twin was measured."""
    where = given.results / f"{_prefix(given)}train_step"
    rows = run(
        output=where.with_suffix(".json"),
        plot=where.with_suffix(".png"),
        shapes=["tiny"] if given.tiny else given.shapes.split(","),
        rounds=2 if given.tiny else given.rounds,
        device="cpu" if given.tiny else "cuda",
        compile="never" if given.tiny else "always",
        peers=given.peers,
        roofline=True,
    )
    return "milliseconds" in rows[0]


def twins(given: argparse.Namespace) -> bool:
    """The three runs, their table and their curves; whether all ended well."""
    if given.tokens is None:
        sys.exit("twins: --tokens names the folder that `bitnet prepare` made")
    shape = SHAPES["tiny"] if given.tiny else replace(SHAPES["125m"], batch=64)
    recipe = Recipe(
        shape,
        given.tokens.absolute(),
        20 * shape.tokens if given.tiny else given.budget,
        "cpu" if given.tiny else "gpu",
        TINY if given.tiny else ("precision=bf16", "compile=always"),
    )
    given.runs.mkdir(parents=True, exist_ok=True)
    runs = Path(tempfile.mkdtemp(prefix="twins_", dir=given.runs))
    rows = train_twins(recipe, runs, list(KINDS), lambda line: print(line, flush=True))
    _write(given, "twins", {"shape": shape.label, "budget": recipe.budget, "rows": rows})
    picture = given.results / f"{_prefix(given)}twins.png"
    draw(runs, list(KINDS), f"{shape.name}, {_device(given)}", picture)
    return not any("note" in row for row in rows)


STAGES = {"correctness": correctness, "bench": bench, "twins": twins}


def _prefix(given: argparse.Namespace) -> str:
    return "tiny_" if given.tiny else "gpu_"


def _device(given: argparse.Namespace) -> str:
    return "CPU" if given.tiny else torch.cuda.get_device_name()


def _write(given: argparse.Namespace, what: str, found: dict[str, Any]) -> None:
    given.results.mkdir(parents=True, exist_ok=True)
    report = {"device": _device(given), "versions": versions(str(given.peers)), **found}
    path = given.results / f"{_prefix(given)}{what}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stages", nargs="*", help=f"of {', '.join(STAGES)}; default: all of them")
    parser.add_argument("--tiny", action="store_true", help="prove on a CPU that all of it runs")
    parser.add_argument("--tokens", type=Path, help="folder that `bitnet prepare` made")
    parser.add_argument("--budget", type=int, default=BUDGET, help="tokens of each twin")
    parser.add_argument("--shapes", default="700m,1.3b")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", type=Path, default=Path(peers_folder()))
    parser.add_argument("--results", type=Path, default=HOME / "benchmarks" / "results")
    parser.add_argument("--runs", type=Path, default=HOME / "runs", help="folder of the twins")
    given = parser.parse_args()
    if unknown := [stage for stage in given.stages if stage not in STAGES]:
        parser.error(f"'{unknown[0]}' is no stage (valid: {', '.join(STAGES)})")
    if not given.tiny and not torch.cuda.is_available():
        sys.exit("torch sees no GPU here; --tiny proves on a CPU that everything runs")
    for stage in given.stages or STAGES:
        if not STAGES[stage](given):
            sys.exit(f"{stage}: failed; see above")


if __name__ == "__main__":
    main()
