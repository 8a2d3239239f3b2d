"""Memory of this process while a stream is read: does it stay flat?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.data.task import BATCH, PREDICTED, SAMPLE
from benchmarks.data.tree import resident_bytes
from bitnet.data import LocalCorpus, StreamSpec, ValidationSpec, load_tokenizer
from bitnet.data.mix import MixSpec
from bitnet.data.module import MixtureModule

_WORDS = "a stream of plain words whose length is no matter and which ends only much later ".split()
_EVERY = 50


def many_documents(folder: Path, count: int) -> Path:
    """One plain file of short documents."""
    path = folder / "many.jsonl"
    with path.open("w") as file:
        for n in range(count):
            words = " ".join(_WORDS[(n + k) % len(_WORDS)] for k in range(10))
            file.write(json.dumps({"text": f"{n} {words}", "meta": {"n": n}}) + "\n")
    return path


def one_long_document(folder: Path, megabytes: int) -> Path:
    """A plain file with one line of that size between thousands of usual ones."""
    path = folder / "long.jsonl"
    usual = json.dumps({"text": " ".join(_WORDS * 20)}) + "\n"
    piece = (" ".join(_WORDS) + " ") * 1000
    with path.open("w") as file:
        file.write(usual * 20000)
        file.write('{"text": "')
        for _ in range(megabytes * 1_000_000 // len(piece)):
            file.write(piece)
        file.write('"}\n')
        file.write(usual * 20000)
    return path


def drift(path: Path, tokenizer: str, tokens: int) -> dict[str, Any]:
    """Read `tokens` of one file as a stream, and watch.

    The first tenth is not counted: blocks fill up and the allocator's pools with them. What comes
    after has a band, as blocks of different sizes come and go, and must not climb.

    Returns:
        tokens, documents, seconds; resident bytes at the least and at most; `band_percent`: half
        of their distance, to their middle; `growth_percent`: the median of the last fifth to that
        of the first.
    """
    begin = perf_counter()
    module = _module(path, tokenizer)
    sizes = list(_sizes(module, tokens))
    steady = sizes[len(sizes) // 10 :]
    least, most, fifth = min(steady), max(steady), max(len(steady) // 5, 1)
    growth = median(steady[-fifth:]) / median(steady[:fifth]) - 1
    return {
        "tokens": tokens,
        "documents": sum(each.documents for each in module.report()),
        "seconds": round(perf_counter() - begin, 1),
        "least_bytes": least,
        "most_bytes": most,
        "band_percent": round(100 * (most - least) / (most + least), 2),
        "growth_percent": round(100 * growth, 2),
    }


def _sizes(module: MixtureModule, tokens: int) -> Iterator[int]:
    wanted = tokens // (BATCH * SAMPLE)
    for number, _ in enumerate(module.train_dataloader(), start=1):
        module.trained_batches = number  # as training does, which lets go of older positions
        if number % _EVERY == 0 or number == wanted:
            yield resident_bytes(os.getpid())
        if number >= wanted:
            return


def _module(path: Path, tokenizer: str) -> MixtureModule:
    corpus = LocalCorpus(root=str(path.parent), subsets={"only": path.name})
    return MixtureModule(
        corpus,
        MixSpec(weights={"only": 1.0}),
        load_tokenizer(tokenizer),
        PREDICTED,
        BATCH,
        seed=1,
        stream=StreamSpec(),
        validation=ValidationSpec(fraction=1e-6),
    )
