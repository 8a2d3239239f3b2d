"""Where one stream stands in one source: a few integers from which reading goes on exactly.

Tokens and documents are not stored. A cursor names the shuffle block (by the record it starts at),
the document in it, the piece of the document and the token in the piece; the block is read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class Cursor:
    """Position of the next token, and what has been met up to there.

    Attributes:
        epoch: passes over the stream's part of the source that are complete.
        unit: place in this epoch's order of units where the current block starts.
        record: record of that unit where it starts.
        byte: stored byte at which that record begins, 0 if it cannot be gone to.
        part: part of that record where it starts, for a document that is read in parts.
        document: place in the shuffled block of the current document.
        offset: character of the document where the current piece starts.
        token: tokens of that piece already taken.
        samples: samples taken so far.
        documents: documents taken to their end so far.
        empty: documents without text met so far.
        broken: records that could not be used, so far.
        held_out: documents left to validation so far.
        begun: per mille of the epoch's stored bytes that had been read when the block began.
        done: per mille of the epoch that is done, estimated from the place in the block.
    """

    epoch: int = 0
    unit: int = 0
    record: int = 0
    byte: int = 0
    part: int = 0
    document: int = 0
    offset: int = 0
    token: int = 0
    samples: int = 0
    documents: int = 0
    empty: int = 0
    broken: int = 0
    held_out: int = 0
    begun: int = 0
    done: int = 0

    @property
    def block(self) -> tuple[int, int, int, int]:
        """What tells the current block from all others."""
        return self.epoch, self.unit, self.record, self.part

    def as_dict(self) -> dict[str, int]:
        """Plain form for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, int]) -> Cursor:
        """Rebuild from `as_dict`."""
        return cls(**{field.name: int(values[field.name]) for field in fields(cls)})


SourceCursors = dict[int, Cursor]
"""Cursors of one stream, by source index; a source not yet drawn from has none."""
