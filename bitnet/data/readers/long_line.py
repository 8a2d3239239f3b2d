"""Reads the text out of a JSON line that is too long to be parsed at once.

A book, a log or a concatenated archive can make a line of a gigabyte, and `json.loads` needs
several times that in memory. Here the line passes through a window of fixed size and its text
leaves in parts. The parts joined are what `json.loads` would have given, with one exception: if a
key stands twice in an object, the first one counts, because its text has already been handed out.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from bitnet.data.errors import describe_unknown
from bitnet.data.readers.line_window import CHUNK_BYTES, LineWindow, UnusableLineError
from bitnet.data.readers.skip_value import members, skip_value
from bitnet.data.records import Where

_CLEAN_CUT = re.compile(r"\S(?= \S)")
_CUT_WITHIN = 256
_KEYS_NAMED = 50
_SPOOLED_IN_MEMORY = 1 << 23
_KINDS = {'"': "str", "[": "list", "{": "dict", "t": "bool", "f": "bool", "n": "NoneType"}
"""First character of a value, and what Python calls such a value."""


def long_line_texts(
    head: bytes,
    stream: BinaryIO,
    text_field: str,
    part_chars: int = 1 << 20,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[tuple[str | None, str, bool]]:
    """Yield the text of one JSON line in parts; afterwards the stream stands behind the line.

    Memory does not grow with the line: other values are skipped whatever their size. A fault that
    comes after the text is noticed too: parts have gone out by then, and the problem stands in
    place of those that were still held.

    Args:
        head: the beginning of the line, already read, without a newline.
        stream: the rest of the line and what follows it.
        text_field: key of the text, with dots if it is nested.
        part_chars: characters of a part, about: cuts are made between words where there are any.
        chunk_bytes: bytes read at once.

    Yields:
        A part of the text (None: the line is unusable), the problem or an empty string, and
        whether it is the last part. A blank line is an empty text.
    """
    line = LineWindow(head, stream, chunk_bytes)
    held: str | None = None
    try:
        for part in _parts(_texts(line, text_field), part_chars):
            if held is not None:
                yield held, "", False
            held = part
        line.finish()
        yield held or "", "", True
    except UnusableLineError as error:
        line.finish()
        yield None, str(error), True


def long_line_matches(
    head: bytes, stream: BinaryIO, where: Where, chunk_bytes: int = CHUNK_BYTES
) -> tuple[BinaryIO | None, str]:
    """Whether one JSON line is of the subset that `where` asks for.

    The field may stand behind the text, so the line is put aside on disk to be read again.

    Args:
        head: the beginning of the line, already read, without a newline.
        stream: the rest of the line and what follows it; left standing behind the line.
        where: the field and its value.
        chunk_bytes: bytes read at once.

    Returns:
        The line, to be read by `long_line_texts` and closed (None: it is of another subset, or
        unusable), and the problem or an empty string.
    """
    spooled = tempfile.SpooledTemporaryFile(_SPOOLED_IN_MEMORY)  # noqa: SIM115  # the caller closes
    line = cast(BinaryIO, spooled)
    line.write(head)
    piece = b""
    while not piece.endswith(b"\n") and (piece := stream.readline(chunk_bytes)):
        line.write(piece)
    line.seek(0)
    value, problem = "", ""
    try:
        for found in _texts(LineWindow(b"", line, chunk_bytes), where.path, "subset"):
            value += found[: len(where.value) + 1]
    except _NoStringError:
        value, problem = "", ""
    except UnusableLineError as error:
        problem = str(error)
    if problem or value != where.value:
        line.close()
        return None, problem
    line.seek(0)
    return line, ""


class _NoStringError(UnusableLineError):
    """The value of a field is no string."""


def _texts(line: LineWindow, text_field: str, role: str = "text") -> Iterator[str]:
    """Pieces of the text, then a look at what follows the object."""
    if not line.peek():
        return
    yield from _field(line, text_field.split("."), text_field, role)
    if line.peek():
        raise UnusableLineError("broken JSON (there is more after the object)")


def _field(line: LineWindow, path: list[str], text_field: str, role: str) -> Iterator[str]:
    """Pieces of the string that stands at `path` in the object which comes next."""
    if line.peek() != "{":
        raise UnusableLineError(f"a JSON {_kind(line)}, not an object")
    others: list[str] = []
    found = False
    for key in members(line):
        if key == path[0] and not found:
            found = True
            deeper = path[1:]
            yield from (
                _field(line, deeper, text_field, role) if deeper else _string(line, text_field)
            )
        else:
            skip_value(line)
            others = [*others, key] if len(others) < _KEYS_NAMED else others
    if not found:
        raise UnusableLineError(f"the {role} field {describe_unknown(text_field, others)}")


def _string(line: LineWindow, text_field: str) -> Iterator[str]:
    if line.peek() != '"':
        raise _NoStringError(f"field '{text_field}' holds a {_kind(line)}, not a string")
    return line.strings()


def _kind(line: LineWindow) -> str:
    first = line.peek()
    return _KINDS.get(first, "number") if first else "value that is missing"


def _parts(pieces: Iterator[str], part_chars: int) -> Iterator[str]:
    """The same text in parts of about `part_chars`."""
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size <= part_chars:
            continue
        text = "".join(held)
        start = 0
        while len(text) - start > part_chars:
            cut = _clean_cut(text, start, start + part_chars)
            yield text[start:cut]
            start = cut
        held, size = [text[start:]], len(text) - start
    yield "".join(held)


def _clean_cut(text: str, start: int, end: int) -> int:
    """A place at or a little before `end` between two words, as most tokenizers cut anyway."""
    first = max(end - _CUT_WITHIN, start)
    cuts = [each.end() for each in _CLEAN_CUT.finditer(text, first, end + 1)]
    return cuts[-1] if cuts else end
