"""Packs the documents of one source into samples of a fixed number of tokens.

Every document is followed by the end token, documents follow one another without gaps, and a sample
is the next `length` tokens: samples do not overlap, nothing is padded and nothing is dropped. Since
a sample holds one token more than it predicts, the first token of a sample is never predicted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bitnet.data.blocks import Block, BlockReader
from bitnet.data.cursor import Cursor
from bitnet.data.errors import DataError
from bitnet.data.pieces import pieces_of
from bitnet.data.records import Unit
from bitnet.data.tokenizer import Tokenizer

_CHARS_PER_TOKEN = 4.0
"""To begin with; each packer learns what its text has."""
_MARGIN = 1.1
"""Rather a little too much text than another call of the tokenizer."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a document, and where the next piece starts (None after a text's last)."""

    block: Block
    document: int
    start: int
    end: int
    following: int | None

    @property
    def text(self) -> str:
        """Its characters."""
        return self.block.texts[self.document][self.start : self.end]

    @property
    def ends_document(self) -> bool:
        """Whether an end token comes behind it."""
        return self.following is None and not self.block.unfinished


@dataclass(frozen=True, slots=True)
class _Asked:
    """Text that is being tokenised, and how many tokens it is likely to make."""

    pieces: list[Piece]
    tokens: float


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens of a sample that come from one document.

    Attributes:
        unit, record: where the document was read.
        count: how many tokens, its end token included.
    """

    unit: Unit
    record: int
    count: int


class Packer:
    """The samples of one stream from one source, with an exact position.

    Attributes:
        spans: the documents that the last sample was made of, in their order.
    """

    def __init__(self, reader: BlockReader, tokenizer: Tokenizer, cursor: Cursor | None) -> None:
        """Start at the beginning, or go on from `cursor`."""
        self._tokenizer = tokenizer
        self._reader = reader
        self._resumed = cursor
        self._cursor = cursor or Cursor()
        self._pieces = self._read(reader, self._cursor)
        self._queue: deque[tuple[Piece, NDArray[np.int32]]] = deque()
        self._queued = -self._cursor.token  # less what was taken of the first piece before
        self._asked: deque[_Asked] = deque()
        self._promised = 0
        self._fault: DataError | None = None
        self._ratio = _CHARS_PER_TOKEN
        self._block: Block | None = None
        self.spans: list[Span] = []

    @property
    def cursor(self) -> Cursor:
        """Position of the first token of the next sample."""
        return self._cursor

    def sample(self, length: int) -> NDArray[np.int32]:
        """The next `length` tokens, `[length]`.

        Raises:
            DataError: the source may not be read once more, and what is left of it is too little.
        """
        taken: list[NDArray[np.int32]] = []
        missing = length
        self.spans = []
        while missing:
            if not self._queue:
                self._fill(missing)
            piece, tokens = self._queue[0]
            self._enter(piece.block)
            part = tokens[self._cursor.token : self._cursor.token + missing]
            taken.append(part)
            missing -= len(part)
            self._queued -= len(part)
            self._note(piece, len(part))
            self._advance(piece, self._cursor.token + len(part) == len(tokens), len(part))
        self._promised = max(0, self._promised - length)
        self._cursor = replace(self._cursor, samples=self._cursor.samples + 1)
        return np.concatenate(taken)

    def _note(self, piece: Piece, count: int) -> None:
        unit, record = piece.block.texts.origin(piece.document)
        last = self.spans[-1] if self.spans else None
        if last is not None and (last.unit, last.record) == (unit, record):
            count += self.spans.pop().count
        self.spans.append(Span(unit, record, count))

    def _advance(self, piece: Piece, finished: bool, count: int) -> None:
        at = self._cursor
        if not finished:
            self._cursor = replace(at, token=at.token + count)
            return
        self._queue.popleft()
        if piece.following is not None:
            self._cursor = replace(at, offset=piece.following, token=0)
            return
        self._cursor = replace(
            at,
            document=piece.document + 1,
            offset=0,
            token=0,
            documents=at.documents + piece.ends_document,
            done=piece.block.done(piece.document + 1),
        )

    def _enter(self, block: Block) -> None:
        """Move the cursor to the block of the next token and count what the block leaves out."""
        if block is self._block:
            return
        at, first = self._cursor, self._block is None
        self._block = block
        if first and self._resumed is not None and _same_block(at, block):
            return
        self._cursor = Cursor(
            epoch=block.epoch,
            unit=block.unit,
            record=block.record,
            byte=block.byte,
            part=block.part,
            samples=at.samples,
            documents=at.documents,
            empty=at.empty + block.empty,
            broken=at.broken + block.broken,
            held_out=at.held_out + block.held_out,
            begun=block.begun,
            done=block.begun,
        )

    def ask(self, tokens: int) -> list[Piece]:
        """Text that is likely to make `tokens` tokens more than were asked for before.

        It has to be tokenised and given to `put`, in the order in which it was asked for. So the
        text of many samples of all sources can go to the tokenizer at once, and little is tokenised
        ahead. An error of the data is kept until a sample needs what it stands before.
        """
        self._promised += tokens
        expected = self._queued + sum(asked.tokens for asked in self._asked)
        chars = (self._promised - expected) * self._ratio * _MARGIN
        chosen: list[Piece] = []
        likely = 0.0
        while chars > 0 and (piece := self._next_piece()) is not None:
            chosen.append(piece)
            size = piece.end - piece.start + self._ratio
            chars -= size
            likely += size / self._ratio
        if chosen:
            self._asked.append(_Asked(chosen, likely))
        return chosen

    def put(self, pieces: Sequence[Piece], encoded: Sequence[list[int]]) -> None:
        """Queue the tokens of what `ask` gave, unless a sample could not wait for them."""
        if not any(asked.pieces is pieces for asked in self._asked):
            return
        assert self._asked.popleft().pieces is pieces, "text comes back as it was asked for"
        chars = tokens = 0
        for piece, ids in zip(pieces, encoded, strict=True):
            if piece.ends_document:
                ids.append(self._tokenizer.eos_id)
            if ids:
                self._queue.append((piece, np.asarray(ids, dtype=np.int32)))
            chars += piece.end - piece.start
            tokens += len(ids)
        self._queued += tokens
        if chars:
            self._ratio = max(1.0, chars / max(1, tokens))

    def _next_piece(self) -> Piece | None:
        if self._fault is not None:
            return None
        try:
            return next(self._pieces, None)
        except DataError as error:
            self._fault = error
            return None

    def _fill(self, missing: int) -> None:
        """Tokenise what is missing from this source alone: what was asked for, or more."""
        pieces = self._asked[0].pieces if self._asked else self.ask(missing)
        if not pieces:
            raise self._fault or self._end()
        self.put(pieces, self._tokenizer.encode_batch([piece.text for piece in pieces]))

    def _end(self) -> DataError:
        epochs = self._cursor.epoch + 1
        return DataError(
            f"source '{self._reader.source.name}' ends here: it may be read mix.max_epochs="
            f"{epochs} time(s); without that limit it repeats, reshuffled"
        )

    @staticmethod
    def _read(reader: BlockReader, at: Cursor) -> Iterator[Piece]:
        """Pieces of all documents from the cursor's on."""
        skipped, offset = at.document, at.offset
        for block in reader.blocks(at):
            for document in range(skipped, len(block.texts)):
                text = block.texts[document]
                for start, end in pieces_of(text, offset) if text else [(0, 0)]:
                    yield Piece(block, document, start, end, end if end < len(text) else None)
                offset = 0
            skipped = 0


def _same_block(cursor: Cursor, block: Block) -> bool:
    return cursor.block == (block.epoch, block.unit, block.record, block.part)
