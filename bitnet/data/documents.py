"""Decides what a record is worth: one rule for training and for validation.

Both must agree on which records are documents, or a document could be in neither or in both.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from bitnet.data.records import Record
from bitnet.data.split import is_held_out


class Kind(Enum):
    """What becomes of a record."""

    TRAIN = "train"
    HELD_OUT = "held out"
    EMPTY = "empty"
    BROKEN = "broken"


class Verdict(NamedTuple):
    """Kind of a record, bytes of its text as UTF-8, and why it is broken (if it is)."""

    kind: Kind
    size: int = 0
    problem: str = ""


def judge(record: Record, held_out_fraction: float) -> Verdict:
    """Sort a record into training, validation, empty or broken."""
    if record.text is None:
        return Verdict(Kind.BROKEN, problem=record.problem)
    if not record.text or record.text.isspace():
        return Verdict(Kind.EMPTY)
    try:
        encoded = record.text.encode()
    except UnicodeEncodeError:
        return Verdict(Kind.BROKEN, problem="the text holds half of a surrogate pair")
    if b"\0" in encoded:
        return Verdict(Kind.BROKEN, problem="the text holds NUL characters: it is binary")
    kind = Kind.HELD_OUT if is_held_out(encoded, held_out_fraction) else Kind.TRAIN
    return Verdict(kind, len(encoded))
