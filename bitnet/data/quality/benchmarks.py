"""Reads the texts of benchmark items from the files benchmarks are published as."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bitnet.data.errors import DataError, describe_unknown

_SETTING = "quality.decontaminate.benchmarks"
_FORMATS = (".jsonl", ".csv", ".txt")


def texts_of(file: Path, fields: Sequence[str]) -> Iterator[str]:
    """Yield the texts of every item of a benchmark.

    Args:
        file: lines of JSON objects, a table with a header, or a text a line.
        fields: top-level fields whose texts are wanted; empty: all. Texts are taken from lists and
            objects inside a field too, keys of inner objects included (answers may stand there).

    Raises:
        DataError: the file is missing, of another format or broken, or an item lacks a field.
    """
    if file.suffix not in _FORMATS:
        raise DataError(f"{_SETTING}: '{file}' is none of {', '.join(_FORMATS)}")
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            if file.suffix == ".txt":
                yield from lines
                return
            items = csv.DictReader(lines) if file.suffix == ".csv" else map(json.loads, lines)
            for number, item in enumerate(items, 1):
                yield from _wanted(item, fields, f"{file}: item {number}")
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{_SETTING}: '{file}' cannot be read ({error})") from error


def _wanted(item: Any, fields: Sequence[str], place: str) -> Iterator[str]:
    if not isinstance(item, dict):
        raise DataError(f"{_SETTING}: {place} is a {type(item).__name__}, not an object")
    for name in fields:
        if name not in item:
            raise DataError(f"{_SETTING}: {place}: field {describe_unknown(name, item)}")
    for name in fields or item:
        yield from _texts(item[name])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _texts(each)
