"""One function that reads a file of any supported format, so nothing above knows formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from bitnet.data.errors import DataError
from bitnet.data.readers.json_lines import parse_line, raw_lines, read_json_lines
from bitnet.data.readers.parquet import read_parquet
from bitnet.data.readers.plain_text import read_plain_text
from bitnet.data.records import Query, Record

_COMPRESSIONS = ("", ".gz", ".zst")
_JSON_SUFFIXES = tuple(f".{kind}{packed}" for kind in ("jsonl", "json") for packed in _COMPRESSIONS)
_TEXT_SUFFIXES = tuple(f".txt{packed}" for packed in _COMPRESSIONS)
__all__ = [
    "SUFFIXES",
    "can_be_cut",
    "can_be_shared",
    "parse_line",
    "raw_lines",
    "read_records",
    "suffix_of",
]

SUFFIXES = (*_JSON_SUFFIXES, ".parquet", *_TEXT_SUFFIXES)
"""Ends of the file names that can be read; `.json` files hold one object a line."""


def suffix_of(name: str) -> str:
    """The supported suffix that a file name ends with, or an empty string."""
    matches = [suffix for suffix in SUFFIXES if name.lower().endswith(suffix)]
    return max(matches, key=len, default="")


def read_records(raw: BinaryIO, name: str, query: Query) -> Iterator[Record]:
    """Yield the records of a file that are asked for, in file order.

    Args:
        raw: the stored file, opened for reading bytes.
        name: its name, which tells the format and stands in error messages.
        query: what to yield.

    Raises:
        DataError: the format is unknown, or the file is damaged.
    """
    suffix = suffix_of(name)
    if suffix in _JSON_SUFFIXES:
        return read_json_lines(raw, name, query)
    if suffix in _TEXT_SUFFIXES:
        return read_plain_text(raw, name, query)
    if suffix == ".parquet":
        return read_parquet(raw, name, query)
    raise DataError(f"{name}: unknown format; readable are {', '.join(SUFFIXES)}")


def can_be_shared(name: str) -> bool:
    """Whether a file of this name costs much to read, and its lines can be handed out unparsed."""
    return suffix_of(name) in _JSON_SUFFIXES and not can_be_cut(name)


def can_be_cut(name: str) -> bool:
    """Whether a file of this name can be read from any byte on: lines of JSON, stored plain."""
    return suffix_of(name) in (".jsonl", ".json")
