"""Small prepared folders, and what stands in them read back without the code under test."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bitnet.data import Source, Tokenizer
from bitnet.data.prepared.corpus import PreparedCorpus
from bitnet.data.prepared.jobs import ShardRules
from bitnet.data.prepared.manifest import Manifest
from bitnet.data.prepared.prepare import Described, prepare
from bitnet.data.prepared.shards import PreparedSet
from bitnet.data.prepared.work import Settings
from tests.data.corpora import BYTES

FRACTION = 0.1


def settings(**values: Any) -> Settings:
    """Settings of a test: in this process, one kilobyte a shard at least."""
    rules = {
        name: values.pop(name)
        for name in ("held_out_fraction", "shuffle", "stop_at_broken")
        if name in values
    }
    defaults: dict[str, Any] = {"workers": 0, "range_bytes": 4000}
    return Settings(
        rules=ShardRules(**{"held_out_fraction": FRACTION, **rules}), **{**defaults, **values}
    )


def make(
    folder: Path,
    sources: Mapping[str, Source],
    tokenizer: Tokenizer = BYTES,
    how: Settings | None = None,
    **more: Any,
) -> Manifest:
    """Prepare `sources` in `folder`."""
    about = Described("test", "CC0", ("a note",))
    return prepare(folder, about, sources, tokenizer, how or settings(), **more)


def opened(folder: Path, verify: str = "changed") -> PreparedSet:
    """The folder as training opens it."""
    return PreparedCorpus(path=str(folder), verify=verify).open_set()


def shards_on_disk(folder: Path, source: str) -> list[str]:
    """Path of each shard of a source without suffixes, in order."""
    return [str(path)[: -len(".json")] for path in sorted((folder / source).glob("*.json"))]


def documents_on_disk(
    stem: str, side: str, tokenizer: Tokenizer = BYTES, kind: str = "<u2"
) -> dict[int, str]:
    """Record number to text, in the order of the file; each document must end with the mark."""
    tokens = np.fromfile(f"{stem}.{side}.tokens", dtype=kind)
    ends = np.fromfile(f"{stem}.{side}.ends", dtype="<i8")
    origins = np.fromfile(f"{stem}.{side}.origins", dtype="<i8")
    found: dict[int, str] = {}
    for start, end, origin in zip([0, *ends][:-1], ends, origins, strict=True):
        ids = tokens[start:end].tolist()
        assert ids[-1] == tokenizer.eos_id and tokenizer.eos_id not in ids[:-1]
        found[int(origin)] = tokenizer.decode(ids[:-1])
    assert len(tokens) == (ends[-1] if len(ends) else 0)
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    """Content of every file but those that hold times."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("verified.json", ".lock")
    }


def record(stem: str) -> dict[str, Any]:
    """A shard's record."""
    found: dict[str, Any] = json.loads(Path(f"{stem}.json").read_text("utf-8"))
    return found
