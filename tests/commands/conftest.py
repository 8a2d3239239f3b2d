"""A small corpus on disk and the overrides of a run that takes seconds."""

import json
import random
from pathlib import Path

import pytest

SOURCES = ("web", "code", "books")
WORDS = "the of model and token weight learns ternary a source mix int scale to from loss".split()


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
