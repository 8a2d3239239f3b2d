"""Reads files that hold one JSON object a line, plain or compressed.

Each line is parsed by itself and only its text is kept, so metadata whose type changes from line to
line (timestamps that are sometimes empty, scores that are sometimes integers) is harmless. A file
that is stored plain can be read from any byte on, so many readers can share one large file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO

from bitnet.data.errors import describe_unknown
from bitnet.data.readers.decompress import decompressed, is_plain, stored_bytes_checked
from bitnet.data.readers.fields import field_at
from bitnet.data.readers.long_line import long_line_matches, long_line_texts
from bitnet.data.records import Query, RawRecord, Record, Where

LINE_BYTES = 1 << 21
"""Longer lines are read in parts, so that no document needs more memory than this."""

Found = tuple[str | None, str]
"""The text of a record, or None and the reason why there is none."""

Part = tuple[str | None, str, bool]
"""The same of a part of a record, and whether it is the last."""


def read_json_lines(raw: BinaryIO, name: str, query: Query) -> Iterator[Record]:
    """Yield the lines of `raw` that are asked for; the others are not parsed.

    Args:
        raw: the stored file, opened for reading bytes.
        name: the file's name; its end tells the compression.
        query: what to yield.
    """
    with stored_bytes_checked(raw, name):
        number, begins = _go_to_start(raw, query), raw.tell()
        lines, plain = decompressed(raw, name), is_plain(name)
        end = query.unit.end
        while (end is None or begins < end) and (line := lines.readline(LINE_BYTES)):
            whole = len(line) < LINE_BYTES or line.endswith(b"\n")
            begins *= plain
            if query.selection.wants(number):
                parts = [_parsed(line, query)] if whole else _long(line, lines, query)
                for part, found in enumerate(parts):
                    if found is not None:
                        text, problem, last = found
                        yield Record(number, text, problem, raw.tell(), begins, plain, part, last)
            elif not whole:
                _skip_line(lines)
            number += 1
            begins = raw.tell()


def raw_lines(raw: BinaryIO, name: str) -> Iterator[RawRecord]:
    """Yield all lines of `raw` unparsed; the rest of a long one is passed over."""
    with stored_bytes_checked(raw, name):
        lines, number = decompressed(raw, name), 0
        while line := lines.readline(LINE_BYTES):
            whole = len(line) < LINE_BYTES or line.endswith(b"\n")
            if not whole:
                _skip_line(lines)
            yield RawRecord(number, line, whole, raw.tell())
            number += 1


def parse_line(line: RawRecord, query: Query) -> Record | None:
    """The record of a whole line, or None if `where` leaves it out."""
    found = text_of(line.content, query.text_field, query.where)
    return None if found is None else Record(line.number, *found, line.consumed)


def _go_to_start(raw: BinaryIO, query: Query) -> int:
    """Seek to the first record that may be wanted; returns its number."""
    if query.selection.byte:
        raw.seek(query.selection.byte)
        return query.selection.first
    if query.unit.start:
        raw.seek(query.unit.start - 1)  # a line that begins exactly at the start is ours
        _skip_line(raw)
    return 0


def _skip_line(lines: BinaryIO) -> None:
    """Read on to the beginning of the next line."""
    while (line := lines.readline(LINE_BYTES)) and not line.endswith(b"\n"):
        pass


def _long(head: bytes, lines: BinaryIO, query: Query) -> Iterator[Part | None]:
    """Parts of the text of a long line; nothing if `where` leaves it out."""
    if query.where is None:
        yield from long_line_texts(head, lines, query.text_field)
        return
    line, problem = long_line_matches(head, lines, query.where)
    if line is None:
        yield (None, problem, True) if problem else None
        return
    with line:
        yield from long_line_texts(b"", line, query.text_field)


def _parsed(line: bytes, query: Query) -> Part | None:
    """Text, problem and "last" of a whole line; None if `where` leaves it out."""
    found = text_of(line, query.text_field, query.where)
    return None if found is None else (*found, True)


def text_of(line: bytes, text_field: str, where: Where | None = None) -> Found | None:
    """The text in one JSON line, or None and the reason why there is none.

    A blank line counts as an empty document. A record that `where` leaves out is nothing at all.
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
    return text_in(fields, text_field, where)


def text_in(fields: dict[str, object], text_field: str, where: Where | None) -> Found | None:
    """The text in a record that is already parsed, like `text_of`."""
    if where is not None:
        present, value = field_at(fields, where.path)
        if not present:
            return None, f"the subset field {describe_unknown(where.path, fields)}"
        if value != where.value:
            return None
    present, text = field_at(fields, text_field)
    if not present:
        return None, f"the text field {describe_unknown(text_field, fields)}"
    if not isinstance(text, str):
        return None, f"field '{text_field}' holds a {type(text).__name__}, not a string"
    return text, ""
