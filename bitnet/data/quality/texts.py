"""The documents of a unit as they are scored: the beginning of the text, and all its tokens."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

from bitnet.data.documents import Kind, judge
from bitnet.data.pieces import pieces_of
from bitnet.data.records import Unit
from bitnet.data.sources import Source
from bitnet.data.tokenizer import Tokenizer


class Text(NamedTuple):
    """One document.

    Attributes:
        number: of its record in the unit.
        head: the text, or its first part if it is long.
        tokens: of the whole document, the one that ends it included.
    """

    number: int
    head: str
    tokens: int


def texts_of(
    source: Source,
    unit: Unit,
    tokenizer: Tokenizer,
    known: Container[int] = (),
    unusable: Callable[[int, str], None] = lambda number, problem: None,
) -> Iterator[Text]:
    """Yield the usable documents of a unit, held-out ones too; blank records are none.

    Args:
        source: the source.
        unit: which part of it.
        tokenizer: counts the tokens.
        known: records to pass over.
        unusable: is told number and problem of every record that cannot be read.
    """
    usable, head, tokens = False, "", 1
    for record in source.read(unit):
        if record.number in known:
            continue
        if record.part == 0:
            verdict = judge(record, 0.0)
            usable = verdict.kind in (Kind.TRAIN, Kind.HELD_OUT)
            head, tokens = record.text or "", 1
            if verdict.kind is Kind.BROKEN:
                unusable(record.number, verdict.problem)
        elif usable and record.text is None:
            usable = False
            unusable(record.number, record.problem)
        if usable:
            tokens += _tokens(record.text or "", tokenizer)
            if record.last:
                yield Text(record.number, head, tokens)


def _tokens(text: str, tokenizer: Tokenizer) -> int:
    return sum(len(tokenizer.encode(text[start:end])) for start, end in pieces_of(text))
