"""What a reader yields, and which of a file's records a stream asks for.

A record keeps its number in the file, because that number is the position a run resumes from and
the line an error message names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Record(NamedTuple):
    """One record of a file.

    Attributes:
        number: place in the file, counted from 0.
        text: the document, or None if the record is unusable.
        problem: why it is unusable, or an empty string.
        consumed: bytes of the stored file read so far, for reports.
    """

    number: int
    text: str | None
    problem: str
    consumed: int


@dataclass(frozen=True, slots=True)
class Selection:
    """The records with `number >= first` and `number % modulus == remainder`."""

    first: int = 0
    modulus: int = 1
    remainder: int = 0

    def wants(self, number: int) -> bool:
        """Whether record `number` is selected."""
        return number >= self.first and number % self.modulus == self.remainder
