"""A window that slides over one JSON line of any length, decoding as it goes.

Strings and values are handed to the decoder of the standard library whenever they stand whole in
the window, and strings that do not are cut where no escape is torn. So the rules of JSON are
applied by `json` itself, and only the structure around them is followed here.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

CHUNK_BYTES = 1 << 17
_CONTAINER_ATTEMPTS = 8
_LONGEST_SCALAR = 1 << 16
_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r'[^ \t\n\r,:"{}\[\]]*')
_TORN = re.compile(r"(?:\\u[dD][89abAB][0-9a-fA-F]{2})?(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")
"""What must not be cut off at the end: a first surrogate, an unfinished escape, or both."""
_LONGEST_TORN = 11
_decode = json.JSONDecoder().raw_decode


class UnusableLineError(Exception):
    """The line holds no text; the message says why."""


class LineWindow:
    """What is in view of a line: `text` from `at` on.

    Args:
        head: the beginning of the line, already read.
        stream: where the rest of the line is read from, up to and including its newline.
        chunk_bytes: how much is read at once.
    """

    def __init__(self, head: bytes, stream: BinaryIO, chunk_bytes: int = CHUNK_BYTES) -> None:
        """Begin with nothing in view."""
        self.text, self.at = "", 0
        self._head, self._stream, self._chunk_bytes = memoryview(head), stream, chunk_bytes
        self._ended, self._offset, self._attempts = False, 0, 0
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogatepass")

    def more(self) -> bool:
        """Drop what is behind, decode another chunk; false if the line had ended before.

        Raises:
            UnusableLineError: the chunk is not UTF-8.
        """
        if self._ended:
            return False
        chunk = self._next_chunk()
        try:
            decoded = self._decoder.decode(chunk, final=self._ended)
        except UnicodeDecodeError as error:
            place = self._offset - len(error.object) + len(chunk) + error.start
            reason = f"not UTF-8 ({error.reason} at byte {place})"
            raise UnusableLineError(reason) from error
        self._offset += len(chunk)
        self.text, self.at = self.text[self.at :] + decoded, 0
        self._attempts = _CONTAINER_ATTEMPTS
        return True

    def finish(self) -> None:
        """Leave the stream behind the newline, whatever the rest of the line holds."""
        self._head = self._head[:0]
        while not self._ended:
            self._next_chunk()

    def _next_chunk(self) -> bytes:
        if self._head:
            chunk = bytes(self._head[: self._chunk_bytes])
            self._head = self._head[self._chunk_bytes :]
            return chunk
        chunk = self._stream.readline(self._chunk_bytes)
        self._ended = not chunk or chunk.endswith(b"\n")
        return chunk.removesuffix(b"\n")

    def peek(self) -> str:
        """The next character that is not a space, or an empty string at the end of the line."""
        while True:
            self.at = _end(_SPACE, self.text, self.at)
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def take(self, allowed: str) -> str:
        """Pass one character that is not a space.

        Raises:
            UnusableLineError: it is none of `allowed`.
        """
        found = self.peek()
        if not found or found not in allowed:
            wanted = " or ".join(f"'{each}'" for each in allowed)
            raise UnusableLineError(f"broken JSON ({wanted} expected, {_named(found)} found)")
        self.at += 1
        return found

    def strings(self) -> Iterator[str]:
        """Pieces of the string whose opening quote comes next.

        Raises:
            UnusableLineError: an escape or a character in it is invalid, or it does not end.
        """
        while True:
            try:
                piece, self.at = _decode(self.text, self.at)
            except ValueError:  # broken, or only not wholly in view: the next lines tell which
                cut = _whole_escapes(self.text, self.at + 1)
            else:
                yield piece
                return
            if cut > self.at + 1:
                piece = self._decoded(self.text[self.at : cut] + '"')
                self.text, self.at = '"' + self.text[cut:], 0
                yield piece
            if not self.more():
                raise UnusableLineError("broken JSON (a string does not end)")

    def scalar(self) -> Any:
        """Pass a number, `true`, `false` or `null`, and return it.

        Raises:
            UnusableLineError: it is none of these.
        """
        while (end := _end(_SCALAR, self.text, self.at)) == len(self.text):
            if end - self.at > _LONGEST_SCALAR:
                raise UnusableLineError("broken JSON (a value of more than 65,536 characters)")
            if not self.more():
                break
        token, self.at = self.text[self.at : end], end
        return self._decoded(token)

    def whole_container(self) -> bool:
        """Pass the object or array that comes next, if it stands whole in the window.

        A few failures for each chunk are allowed, or deep nesting would take quadratic time.
        """
        if self._attempts == 0:
            return False
        try:
            _, self.at = _decode(self.text, self.at)
        except (ValueError, RecursionError):
            self._attempts -= 1
            return False
        return True

    @staticmethod
    def _decoded(token: str) -> Any:
        try:
            value, end = _decode(token)
        except ValueError as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise UnusableLineError(f"broken JSON ({reason})") from error
        if end < len(token):
            raise UnusableLineError(f"broken JSON ({_named(token[:20])} is no value)")
        return value


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _named(found: str) -> str:
    return f"'{found}'" if found else "the end of the line"


def _whole_escapes(text: str, start: int) -> int:
    """The last place in `text` from `start` on at which no escape or surrogate pair is torn."""
    match = _TORN.search(text, max(start, len(text) - _LONGEST_TORN))
    while match and match.start() < len(text):
        before = text[start : match.start()]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return match.start()
        match = _TORN.search(text, match.start() + 1)  # that backslash was itself escaped
    return len(text)
