"""Reads files that hold one JSON object a line, plain or compressed.

Each line is parsed by itself and only its text is kept, so metadata whose type changes from line to
line (timestamps that are sometimes empty, scores that are sometimes integers) is harmless.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO

from bitnet.data.errors import describe_unknown
from bitnet.data.readers.decompress import decompressed, stored_bytes_checked
from bitnet.data.records import Record, Selection


def read_json_lines(
    raw: BinaryIO, name: str, text_field: str, selection: Selection
) -> Iterator[Record]:
    """Yield the selected lines of `raw`; lines that are not selected are not parsed.

    Args:
        raw: the stored file, opened for reading bytes.
        name: the file's name; its end tells the compression.
        text_field: key of the document's text.
        selection: which lines to yield.
    """
    with stored_bytes_checked(raw, name):
        for number, line in enumerate(decompressed(raw, name)):
            if selection.wants(number):
                text, problem = text_of(line, text_field)
                yield Record(number, text, problem, raw.tell())


def text_of(line: bytes, text_field: str) -> tuple[str | None, str]:
    """The text in one JSON line, or None and the reason why there is none.

    A blank line counts as an empty document.
    """
    if line.isspace():
        return "", ""
    try:
        fields = json.loads(line)
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 ({error.reason} at byte {error.start})"
    except (ValueError, RecursionError) as error:
        return None, f"broken JSON ({error})"
    if not isinstance(fields, dict):
        return None, f"a JSON {type(fields).__name__}, not an object"
    if text_field not in fields:
        return None, f"the text field {describe_unknown(text_field, fields)}"
    text = fields[text_field]
    if not isinstance(text, str):
        return None, f"field '{text_field}' holds a {type(text).__name__}, not a string"
    return text, ""
