"""Cuts long documents into pieces that can be tokenised one by one.

A tokenizer needs a hundred times the memory of its text, so a document of 50 MB must not be encoded
at once; and a cursor inside a book should not mean encoding the whole book again. Cuts are made
where byte-level tokenizers split anyway: before a single space, or after a single line break, that
stands between two letters or digits. There the pieces encode to the very tokens of the whole. If a
window holds no such place (a base64 blob), it is cut at its end, and only the tokens around
that cut can differ. Tokenizers that mark the start of every text may add that mark to each piece.
"""

from __future__ import annotations

from collections.abc import Iterator

PIECE_CHARS = 1 << 15
_SEARCH_CHARS = 1 << 13


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
    lowest = limit - _SEARCH_CHARS
    for mark, shift in ((" ", 0), ("\n", 1)):
        place = text.rfind(mark, lowest, limit)
        while place > lowest:
            if text[place - 1].isalnum() and text[place + 1].isalnum():
                return place + shift
            place = text.rfind(mark, lowest, place)
    return limit
