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
from bitnet.data.records import Record, Selection

DOCUMENT_MARK = b"<|endoftext|>"
_ADDRESS = re.compile(rb"\s*(https?|ftp|s3|gs|hf)://\S+\s*")
_LINES_LOOKED_AT = 20


def read_plain_text(raw: BinaryIO, name: str, selection: Selection) -> Iterator[Record]:
    """Yield the selected documents of a text file.

    Raises:
        DataError: the file is a list of web addresses.
    """
    number = 0
    with stored_bytes_checked(raw, name):
        for document in _documents(decompressed(raw, name), name):
            if selection.wants(number):
                yield _record(number, document, raw.tell())
            number += 1


def _documents(lines: BinaryIO, name: str) -> Iterator[bytes]:
    """Documents as bytes, split at marks; the first lines decide whether it is an address list."""
    gathered: list[bytes] = []
    checked = False
    for line in lines:
        if line.strip() == DOCUMENT_MARK:
            yield b"".join(gathered)
            gathered = []
            continue
        gathered.append(line)
        if not checked and len(gathered) == _LINES_LOOKED_AT:
            refuse_address_list(gathered, name)
            checked = True
    if not checked:
        refuse_address_list(gathered, name)
    if gathered:
        yield b"".join(gathered)


def refuse_address_list(lines: list[bytes], name: str) -> None:
    """Raise if every line that is not blank is a web address."""
    filled = [line for line in lines if line.strip()]
    if filled and all(_ADDRESS.fullmatch(line) for line in filled):
        raise DataError(
            f"{name}: holds a list of web addresses, not documents; name the files themselves"
        )


def _record(number: int, document: bytes, consumed: int) -> Record:
    try:
        return Record(number, document.decode(), "", consumed)
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 ({error.reason} at byte {error.start})"
        return Record(number, None, problem, consumed)
