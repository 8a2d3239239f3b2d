"""What a reader yields, and what is asked of it.

A record keeps its number in the unit that is read, because that number is the position a run
resumes from and, in a whole file, the line an error message names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Record(NamedTuple):
    """One record of a file, or a part of a record that is too long to be held at once.

    Attributes:
        number: place in the unit, counted from 0.
        text: the document, or None if the record is unusable.
        problem: why it is unusable, or an empty string.
        consumed: bytes of the stored file read so far; in files that are stored plain, exactly
            where the next record begins.
        begins: stored byte at which the record begins, if `plain`.
        plain: whether the file is stored plain, so that reading can begin at such a byte.
        part: place among the parts of a long document, which follow one another.
        last: whether the document ends here.
    """

    number: int
    text: str | None
    problem: str
    consumed: int
    begins: int = 0
    plain: bool = False
    part: int = 0
    last: bool = True


class RawRecord(NamedTuple):
    """A record as it is stored, not yet parsed.

    Attributes:
        number: place in the unit, counted from 0.
        content: its bytes, or only the first of them if it is not `whole`.
        whole: whether all of it is here; long records are read on where they stand.
        consumed: as in `Record`.
    """

    number: int
    content: bytes
    whole: bool
    consumed: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Every `modulus`-th group of `group` records, from record `first` on.

    Attributes:
        first: number of the first record that may be wanted.
        modulus: one group is wanted of so many.
        remainder: which one.
        byte: stored byte at which record `first` begins, or 0: it is found by reading.
        group: consecutive records that go together.
    """

    first: int = 0
    modulus: int = 1
    remainder: int = 0
    byte: int = 0
    group: int = 1

    def wants(self, number: int) -> bool:
        """Whether record `number` is selected."""
        return number >= self.first and number // self.group % self.modulus == self.remainder

    def wants_any(self, start: int, end: int) -> bool:
        """Whether a record of `[start, end)` is selected."""
        start = max(start, self.first)
        groups = range(start // self.group, -(-end // self.group))
        return start < end and any(
            n % self.modulus == self.remainder for n in groups[: self.modulus]
        )


@dataclass(frozen=True, slots=True)
class Where:
    """Keeps the records whose field `path` (dotted: `meta.set_name`) has the value `value`."""

    path: str
    value: str


@dataclass(frozen=True, slots=True)
class Unit:
    """What is read from beginning to end: a file, or a range of bytes of one that is stored plain.

    Attributes:
        file: number of the file in its source.
        start: the records of the unit begin at this stored byte or after it …
        end: … and before this one (None: the end of the file).
    """

    file: int
    start: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What a reader is to yield.

    Attributes:
        text_field: key or column of the document's text, dotted if it lies deeper.
        where: keep only such records.
        unit: which part of the file.
        selection: which of its records.
    """

    text_field: str
    where: Where | None
    unit: Unit
    selection: Selection
