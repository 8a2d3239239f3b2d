"""How a folder of prepared tokens is laid out: names, suffixes and number formats.

    tokenizer.json  plan.json  manifest.json
    <source>/00000.train.tokens   token ids, little-endian, one after the other
    <source>/00000.train.ends     int64: where each document ends, in tokens
    <source>/00000.train.origins  int64: which record of its unit each document was
    <source>/00000.held_out.…     the same for documents that never train
    <source>/00000.json           the shard's record, written when all its files are there

Shard *n* of a source holds the documents of its unit *n*: a file, or a range of a large plain one.
"""

from __future__ import annotations

import mmap
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import DTypeLike, NDArray

FORMAT = 1
"""Grows when a folder of the old kind could be misread."""

MANIFEST = "manifest.json"
PLAN = "plan.json"
TOKENIZER = "tokenizer.json"
VERIFIED = "verified.json"

TRAIN = "train"
HELD_OUT = "held_out"
SIDES = (TRAIN, HELD_OUT)
TOKENS, ENDS, ORIGINS = "tokens", "ends", "origins"
PARTS = (TOKENS, ENDS, ORIGINS)
PLACES = np.dtype("<i8")
"""Format of ends and origins."""

_LARGEST_SHORT = 1 << 16


def token_format(vocab_size: int) -> np.dtype[np.unsignedinteger]:
    """Two bytes a token where every id fits, else four."""
    return np.dtype("<u2" if vocab_size <= _LARGEST_SHORT else "<u4")


@lru_cache(maxsize=1024)
def source_folder(name: str) -> str:
    """Folder of a source: its name, with what a file system may not like spelled out."""
    spelled = quote(name, safe=" +,=@")
    return f"%2E{spelled[1:]}" if spelled.startswith(".") else spelled


def shard_stem(source: str, unit: int) -> str:
    """Path of a shard without its suffixes, relative to the folder."""
    return f"{source_folder(source)}/{unit:05d}"


def part_name(source: str, unit: int, side: str, part: str) -> str:
    """Path of one file of a shard, relative to the folder."""
    return f"{shard_stem(source, unit)}.{side}.{part}"


def mapped(path: Path, kind: DTypeLike) -> NDArray[np.generic]:
    """A file's numbers as a read-only array that is read from the disk when it is looked at.

    A plain array over the map is returned, because slicing `np.memmap` costs microseconds.
    """
    with path.open("rb") as stream:
        if not stream.seek(0, 2):
            return np.empty(0, dtype=kind)  # nothing cannot be mapped
        content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(content, dtype=kind)
