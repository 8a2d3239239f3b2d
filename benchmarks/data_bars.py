"""What the feeds promise beyond their speed, measured: flat memory, quick starts, exact shares.

By hand, some minutes: ``python -m benchmarks.data_bars --root DIR --tokenizer FILE --output FILE``.
Each bar has a process of its own, since memory is measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.data.big_set import blow_up
from benchmarks.data.flatness import drift, many_documents, one_long_document
from benchmarks.data.launch import HOME, launch
from benchmarks.data.machine import machine, versions
from benchmarks.data.ours import module_of
from benchmarks.data.roster import CONTENDERS
from benchmarks.data.task import BATCH, LLAMA, SAMPLE, Task
from benchmarks.data_feed import task_for
from bitnet.data.prepared.corpus import PreparedCorpus

DOCUMENTS = 1_000_000
LONG_MEGABYTES = 1000
SHARDS, SHARD_TOKENS = 10_430, 115_000_000  # RedPajama in shards of 256 MB of text files
LATE_SAMPLE = 100_000_000
SAMPLES = 1_000_000


def start(task: Task, folder: Path) -> dict[str, Any]:
    """First batch of a stream in a fresh process: seconds, and memory up to then."""
    few = Task("bitnet stream", task.root, task.tokenizer, "", task.subsets, 1, seconds=0.1)
    found = launch("feed", few)
    return {key: found[key] for key in ("first_batch_seconds", "first_batch_bytes")}


def documents(task: Task, folder: Path) -> dict[str, Any]:
    """Memory over a million documents, in one pass and a little more."""
    path = many_documents(folder, DOCUMENTS)
    return drift(path, "bytes", int(path.stat().st_size * 0.85))


def long_document(task: Task, folder: Path) -> dict[str, Any]:
    """Memory over a pass with a document of a gigabyte."""
    path = one_long_document(folder, LONG_MEGABYTES)
    return drift(path, task.tokenizer, path.stat().st_size // 6)


def late_resume(task: Task, folder: Path) -> dict[str, Any]:
    """From nothing to the batch at a late sample of a set with the size of RedPajama."""
    CONTENDERS["bitnet prepared"].prepare(task)
    big = blow_up(task.own_folder(), folder / "big", SHARDS, SHARD_TOKENS)
    corpus = PreparedCorpus(path=str(folder / "big"))
    state = {**module_of(task, corpus).state_dict(), "samples": LATE_SAMPLE}
    begin = perf_counter()
    module = module_of(task, corpus)
    opened = perf_counter()
    module.load_state_dict(state)
    next(iter(module.train_dataloader()))
    end = perf_counter()
    return {
        "shards": sum(map(len, big.shards.values())),
        "tokens": sum(shard.train.tokens for each in big.shards.values() for shard in each),
        "open_seconds": round(opened - begin, 3),
        "resume_seconds": round(end - opened, 3),
        "total_seconds": round(end - begin, 3),
    }


def proportions(task: Task, folder: Path) -> dict[str, Any]:
    """Shares of the tokens of a million samples that were really read, in standard deviations."""
    CONTENDERS["bitnet prepared"].prepare(task)
    module = module_of(task, PreparedCorpus(path=str(task.own_folder())))
    counts = np.zeros(len(LLAMA), dtype=np.int64)
    for number, batch in enumerate(module.train_dataloader(), start=1):
        counts += np.bincount(batch["source"].numpy(), minlength=len(LLAMA))
        if number * BATCH >= SAMPLES:
            break
    weights = np.array(list(LLAMA.values()))
    deviation = np.sqrt(SAMPLES * weights * (1 - weights))
    away = np.abs(counts - SAMPLES * weights)
    return {
        "samples": SAMPLES,
        "tokens": SAMPLES * SAMPLE,
        "counts": dict(zip(LLAMA, counts.tolist(), strict=True)),
        "most_samples_away": round(float(away.max()), 2),
        "most_deviations_away": round(float((away / deviation).max()), 5),
    }


BARS: dict[str, Callable[[Task, Path], dict[str, Any]]] = {
    "start": start,
    "documents": documents,
    "long_document": long_document,
    "late_resume": late_resume,
    "proportions": proportions,
}


def run(root: str | None, tokenizer: str, output: Path | None, bars: list[str]) -> None:
    """Measure each bar in its own process, print it, and write the report."""
    found: dict[str, Any] = {}
    for name in bars:
        command = [sys.executable, "-m", "benchmarks.data_bars", "--only", name]
        command += ["--tokenizer", tokenizer, *(["--root", root] if root else [])]
        done = subprocess.run(command, cwd=HOME, capture_output=True, text=True)
        lines = done.stdout.splitlines() or [json.dumps({"error": done.stderr.strip()[-200:]})]
        found[name] = json.loads(lines[-1])
        print(f"{name}: {json.dumps(found[name])}", flush=True)
    if output is not None:
        report = {"machine": machine(), "versions": versions(), "bars": found}
        output.write_text(json.dumps(report, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root")
    parser.add_argument("--tokenizer", default="pocket")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--bars", nargs="+", choices=BARS, default=list(BARS))
    parser.add_argument("--only", choices=BARS, help="one bar in this process; internal")
    given = parser.parse_args()
    if not given.only:
        run(given.root, given.tokenizer, given.output, given.bars)
        return
    with tempfile.TemporaryDirectory() as folder:
        task = task_for(given.root, given.tokenizer, folder, 1, "bitnet prepared")
        print(json.dumps(BARS[given.only](task, Path(folder))))


if __name__ == "__main__":
    main()
