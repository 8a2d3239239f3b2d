"""Small corpora made on the spot, in which every document can be told from every other."""

import gzip
import io
import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import zstandard

from bitnet.data import LocalCorpus, MixSpec, StreamSpec, Tokenizer, ValidationSpec, load_tokenizer
from bitnet.data.loader import Batch
from bitnet.data.module import MixtureModule

LLAMA = {
    "common_crawl": 0.67,
    "c4": 0.15,
    "github": 0.045,
    "wikipedia": 0.045,
    "book": 0.045,
    "arxiv": 0.025,
    "stackexchange": 0.02,
}
BYTES = load_tokenizer("bytes")


def documents(name: str, count: int, words: int = 30) -> list[str]:
    """Texts that begin with their own name and number."""
    return [
        f"[{name}:{n}] " + " ".join(f"{name[0]}{(n * 7 + w) % 97}" for w in range(3 + n % words))
        for n in range(count)
    ]


def json_lines(texts: Iterable[str]) -> bytes:
    """Lines in the schema of RedPajama whose metadata changes type from line to line."""
    drift = ("2023-03-29", "", 1, 0.5, None, {"x": [1]})
    return b"".join(
        json.dumps({"text": text, "meta": {"t": drift[n % len(drift)]}}).encode() + b"\n"
        for n, text in enumerate(texts)
    )


def write(path: Path, texts: list[str]) -> Path:
    """Write documents in the format that the path's suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".parquet"):
        table = pa.table({"text": texts, "id": list(range(len(texts)))})
        pq.write_table(table, path, row_group_size=10)
        return path
    content = json_lines(texts)
    if ".txt" in path.name:
        content = "\n<|endoftext|>\n".join(texts).encode()
    if path.name.endswith(".zst"):
        content = zstandard.ZstdCompressor().compress(content)
    elif path.name.endswith(".gz"):
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed:
            packed.write(content)
        content = buffer.getvalue()
    path.write_bytes(content)
    return path


def seven_subsets(root: Path) -> LocalCorpus:
    """Seven subsets in different layouts: one file, many files, all formats, one of them tiny."""
    write(root / "common_crawl.jsonl.zst", documents("common_crawl", 900))
    for part in range(10):
        texts = documents("c4", 400)[part::10]
        write(root / "c4" / f"part{part}.jsonl.gz", texts)
    write(root / "github.jsonl", documents("github", 300))
    write(root / "wikipedia.parquet", documents("wikipedia", 300))
    for part in range(3):
        write(root / "book" / f"{part}.jsonl", documents("book", 60, 200)[part::3])
    write(root / "arxiv.txt", documents("arxiv", 200))
    write(root / "stackexchange.json", documents("stackexchange", 80))
    return LocalCorpus(root=str(root))


def module_of(
    corpus: LocalCorpus,
    weights: Mapping[str, float] | MixSpec,
    *,
    streams: int = 4,
    workers: int = 0,
    length: int = 32,
    batch: int = 3,
    seed: int = 5,
    shuffle: float = 0.02,
    bad: str = "stop",
    fraction: float = 0.1,
    tokenizer: Tokenizer = BYTES,
) -> MixtureModule:
    """A module with settings small enough for a test."""
    mix = weights if isinstance(weights, MixSpec) else MixSpec(weights=dict(weights))
    return MixtureModule(
        corpus,
        mix,
        tokenizer,
        length,
        batch,
        seed,
        StreamSpec(streams, shuffle, workers, bad),
        ValidationSpec(fraction, 256),
    )


def batches(module: MixtureModule, count: int) -> list[Batch]:
    """The next batches of a module."""
    return list(islice(module.train_dataloader(), count))


def same(left: list[Batch], right: list[Batch]) -> bool:
    """Whether two lists of batches are equal to the bit."""
    return len(left) == len(right) and all(
        torch.equal(a["tokens"], b["tokens"]) and torch.equal(a["source"], b["source"])
        for a, b in zip(left, right, strict=True)
    )
