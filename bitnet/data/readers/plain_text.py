"""Reads .txt files: one document a file, or several between lines that say `<|endoftext|>`.

A file whose every line is a web address is refused. Some hub repositories hold such lists in place
of documents, and training on addresses is never what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from bitnet.data.errors import DataError
from bitnet.data.readers.decompress import decompressed, stored_bytes_checked
from bitnet.data.records import Query, Record

DOCUMENT_MARK = b"<|endoftext|>"
_ADDRESS = re.compile(rb"\s*(https?|ftp|s3|gs|hf)://\S+\s*")
_LINES_LOOKED_AT = 20
_PART_BYTES = 1 << 21
"""Longer documents are read in parts."""


def read_plain_text(raw: BinaryIO, name: str, query: Query) -> Iterator[Record]:
    """Yield the documents of a text file that are asked for.

    Raises:
        DataError: the file is a list of web addresses, or subsets are to be told apart in it.
    """
    if query.where is not None:
        raise DataError(f"{name}: a text file has no field '{query.where.path}' to tell subsets by")
    number = part = 0  # of the document, and of what it is read in
    with stored_bytes_checked(raw, name):
        for document, last in _documents(decompressed(raw, name), name):
            if query.selection.wants(number):
                yield _record(number, document, raw.tell(), part, last)
            number, part = (number + 1, 0) if last else (number, part + 1)


def _documents(lines: BinaryIO, name: str) -> Iterator[tuple[bytes, bool]]:
    """Documents split at marks, long ones in parts; the second value tells where one ends."""
    gathered: list[bytes] = []
    size, checked, any_part = 0, False, False
    while line := lines.readline(_PART_BYTES):
        if line.strip() == DOCUMENT_MARK:
            yield b"".join(gathered), True
            gathered, size, any_part = [], 0, False
            continue
        if size >= _PART_BYTES and line[0] & 0xC0 != 0x80:  # never within a character
            yield b"".join(gathered), False
            gathered, size, any_part = [], 0, True
        gathered.append(line)
        size += len(line)
        if not checked and len(gathered) == _LINES_LOOKED_AT:
            refuse_address_list(gathered, name)
            checked = True
    if not checked:
        refuse_address_list(gathered, name)
    if gathered or any_part:
        yield b"".join(gathered), True


def refuse_address_list(lines: list[bytes], name: str) -> None:
    """Raise if every line that is not blank is a web address."""
    filled = [line for line in lines if line.strip()]
    if filled and all(_ADDRESS.fullmatch(line) for line in filled):
        raise DataError(
            f"{name}: holds a list of web addresses, not documents; name the files themselves"
        )


def _record(number: int, document: bytes, consumed: int, part: int, last: bool) -> Record:
    try:
        return Record(number, document.decode(), "", consumed, part=part, last=last)
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 ({error.reason} at byte {error.start})"
        return Record(number, None, problem, consumed, part=part, last=last)
