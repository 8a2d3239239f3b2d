"""Cuts long documents into pieces that can be tokenised one by one.

A tokenizer needs a hundred times the memory of its text, so a document of 50 MB must not be encoded
at once; and a cursor inside a book should not mean encoding the whole book again. Cuts are made
where byte-level tokenizers split anyway: before a single space, or after a single line break, that
stands between two letters or digits. There the pieces encode to the very tokens of the whole. If a
text of four pieces holds no such place (a base64 blob), it is cut there, and only the tokens around
that cut can differ. Tokenizers that mark the start of every text may add that mark to each piece.
"""

from __future__ import annotations

from collections.abc import Iterator

PIECE_CHARS = 1 << 13
"""So small that the threads of a tokenizer find equal work in a few documents."""
LONGEST_PIECE_CHARS = 1 << 15
_SEARCH_CHARS = 3 << 11
_MARKS = ((" ", 0), ("\n", 1))
"""What a cut is made at, and whether before or after it."""


def pieces_of(text: str, start: int = 0) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each piece of `text`, from a piece boundary `start` on."""
    while start < len(text):
        end = _cut(text, start)
        yield start, end
        start = end


def _cut(text: str, start: int) -> int:
    limit = start + PIECE_CHARS
    if limit >= len(text):
        return len(text)
    for mark, shift in _MARKS:
        place = text.rfind(mark, limit - _SEARCH_CHARS, limit)
        while place > limit - _SEARCH_CHARS:
            if _stands_between(text, place):
                return place + shift
            place = text.rfind(mark, limit - _SEARCH_CHARS, place)
    return _later_cut(text, limit, start + LONGEST_PIECE_CHARS)


def _later_cut(text: str, start: int, limit: int) -> int:
    """The first place from `start` on where a cut changes nothing; else `limit`, or the end."""
    if limit >= len(text):
        limit = len(text)
    for mark, shift in _MARKS:
        place = text.find(mark, start, limit - 1)
        while place >= 0:
            if _stands_between(text, place):
                return place + shift
            place = text.find(mark, place + 1, limit - 1)
    return limit


def _stands_between(text: str, place: int) -> bool:
    """Whether a mark is alone between two letters or digits."""
    return text[place - 1].isalnum() and text[place + 1].isalnum()
