"""A small corpus on disk and the overrides of a run that takes seconds."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.commands.forks import Forked, finish

SOURCES = ("web", "code", "books")
WORDS = "the of model and token weight learns ternary a source mix int scale to from loss".split()


@pytest.fixture(autouse=True, scope="package")
def quick_starts(peaks_timed_once: None) -> None:
    """Runs in this process need not time this CPU again."""


def write_corpus(root: Path, documents: int = 60) -> Path:
    """``documents`` of random words for each source, as RedPajama-like jsonl."""
    root.mkdir()
    for source in SOURCES:
        draw = random.Random(source)
        lines = [
            {"text": f"{source} " + " ".join(draw.choices(WORDS, k=draw.randint(5, 60)))}
            for _ in range(documents)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (root / f"{source}.jsonl").write_text(text, "utf-8")
    return root


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The folder of a three-source corpus."""
    return write_corpus(tmp_path / "corpus")


def bitnet(*arguments: object) -> str:
    """Run ``bitnet`` in a process of its own to its end, which has to be good; what it printed."""
    done = finish(*arguments)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def stop_at(step: int, run: Path, kind: signal.Signals, *arguments: object) -> int:
    """Start a run and send a signal to all its ranks once its metrics reach ``step``; its exit."""
    with open(os.devnull, "wb") as nowhere:
        process = Forked(*arguments, stdout=nowhere, stderr=nowhere)
    metrics = run / "metrics.csv"
    deadline = time.monotonic() + 200
    try:
        while not metrics.exists() or metrics.read_bytes().count(b"\n") <= step:
            assert process.poll() is None, "ended too early"
            assert time.monotonic() < deadline, "too slow"
            time.sleep(0.002)
        os.killpg(process.pid, kind)
        return process.wait(100)
    finally:
        process.kill()


@pytest.fixture
def prepared(tmp_path: Path, corpus: Path) -> Path:
    """The corpus as shards of bytes."""
    folder = tmp_path / "prepared"
    sizes = ["validation.fraction=0.15", "workers=1"]
    source = ["data=local", f"data.root={corpus}", "tokenizer=bytes"]
    bitnet("prepare", *source, f"output={folder}", *sizes)
    return folder


def prepared_overrides(prepared: Path, **values: object) -> list[str]:
    """A tiny run on shards, in which every step is logged and kept."""
    step = 4 * 64
    settings = {
        "data": "prepared",
        "data.root": "",
        "data.path": prepared,
        "tokenizer": prepared,
        "schedule": "constant",
        "batch.micro": 4,
        "callbacks.samples.every_tokens": 0,
        "logger.every_tokens": step,
        "checkpoint.every_tokens": step,
        **values,
    }
    overrides = tiny_overrides(prepared, **settings)
    return [each for each in overrides if each != "data.root"]


def tiny_overrides(corpus: Path, **values: object) -> list[str]:
    """A run of 24 steps of 2 micro-batches on ``corpus``, on the CPU in fp32, uncompiled."""
    settings: dict[str, object] = {
        "data": "local",
        "data.root": corpus,
        "mix": "uniform",
        "mix.rule": "weights",
        "+mix.weights": "{web:0.5,code:0.3,books:0.2}",
        "tokenizer": "bytes",
        "debug": "tiny",
        "trainer": "cpu",
        "precision": "fp32",
        "stream.streams": 4,
        "stream.shuffle_megabytes": 0.01,
        "validation.fraction": 0.15,
        "budget.tokens": 24 * 4 * 64,
        "validation.every_tokens": 8 * 4 * 64,
        "checkpoint.every_tokens": 3 * 4 * 64,
        "logger.every_tokens": 2 * 4 * 64,
        "callbacks.ternary.every_tokens": 4 * 4 * 64,
        "callbacks.samples.every_tokens": 12 * 4 * 64,
        **values,
    }
    return [key if value == "" else f"{key}={value}" for key, value in settings.items()]
