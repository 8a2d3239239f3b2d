"""How many tokens a source holds, as far as can be told without reading it.

Passes over the data are the first thing that goes wrong with a mixture, so they are worked out
before a run: from counts (prepared data), from what the makers of a corpus publish, or from a look
at its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitnet.data.documents import Kind, judge
from bitnet.data.records import Unit
from bitnet.data.sources import Source
from bitnet.data.tokenizer import Tokenizer

_TOKENISED_CHARS = 200_000
_STORED_BYTES = 2_000_000
"""A look must cover more than a decompressor reads ahead, or its ratio means little."""


@dataclass(frozen=True, slots=True)
class Size:
    """Tokens of a source.

    Attributes:
        tokens: how many, or `None` if nobody knows.
        origin: "counted", "published" or "estimated".
    """

    tokens: float | None
    origin: str


def estimated_tokens(source: Source, tokenizer: Tokenizer) -> Size:
    """Tokens of a local source, from the text at the beginning of its first file.

    Args:
        source: its stored size must be known; nothing far away is read.
        tokenizer: text to ids.
    """
    if any(file.is_remote for file in source.files) or not source.size:
        return Size(None, "estimated")
    chars, consumed, texts = 0, 0, list[str]()
    for record in source.read(Unit(0)):
        kind, _, _ = judge(record, 0.0)
        consumed = record.consumed
        if kind is Kind.TRAIN and record.text is not None:
            if chars < _TOKENISED_CHARS:
                texts.append(record.text[:_TOKENISED_CHARS])
            chars += len(record.text) + 1
        if consumed > _STORED_BYTES:
            break
    sampled = sum(map(len, texts))
    if not sampled:
        return Size(None, "estimated")
    tokens = sum(len(ids) + 1 for ids in tokenizer.encode_batch(texts))
    share = consumed / source.size if consumed else 1.0
    return Size(tokens / sampled * chars / min(1.0, share), "estimated")
