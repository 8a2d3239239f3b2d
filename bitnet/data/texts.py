"""The documents of a block in one piece of memory.

Many small strings leave a heap full of holes: memory grows for a while with every block, although
each is as large as the last. A map of its own goes back to the system as a whole; malloc would keep
large buffers too, once it has seen some come and go.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Sequence

from bitnet.data.records import Unit


class Texts:
    """Texts that can be added, put into another order, and read by their places."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._stored: bytearray | mmap.mmap = bytearray()
        self._ends = array("q", [0])
        self._records = array("q")
        self._units: list[Unit] = []
        self._places: Sequence[int] | None = None
        self._last: tuple[int, str] | None = None

    def __len__(self) -> int:
        """How many there are."""
        return len(self._records)

    def add(self, text: str, unit: Unit, record: int) -> None:
        """Put a text, record number `record` of `unit`, behind the others."""
        assert isinstance(self._stored, bytearray), "texts that are arranged are complete"
        self._stored += text.encode()
        self._ends.append(len(self._stored))
        self._records.append(record)
        self._units.append(unit)

    def arrange(self, places: Sequence[int]) -> None:
        """Let text *n* be the one that was added as number `places[n]`; no more may be added."""
        self._places = array("q", places)
        content = mmap.mmap(-1, max(1, len(self._stored)))
        content[: len(self._stored)] = bytes(self._stored)
        self._stored = content

    def __getitem__(self, number: int) -> str:
        """A text; the last one asked for is kept, since long ones are read piece by piece."""
        if self._last is None or self._last[0] != number:
            place = self._place(number)
            stored = self._stored[self._ends[place] : self._ends[place + 1]]
            self._last = (number, stored.decode())
        return self._last[1]

    def origin(self, number: int) -> tuple[Unit, int]:
        """Unit and record number of a text."""
        place = self._place(number)
        return self._units[place], self._records[place]

    def _place(self, number: int) -> int:
        return number if self._places is None else self._places[number]
