"""The validation batches: the same held-out tokens for every seed, mix and machine.

Each source gives the first samples packed from its held-out documents, read once in file order. The
set is small and lives in memory. Every rank sees all of it, so that summing over ranks or not gives
the same mean and no rank waits for another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bitnet.data.documents import Kind, judge
from bitnet.data.errors import DataError
from bitnet.data.loader import Batch
from bitnet.data.pieces import pieces_of
from bitnet.data.records import Selection
from bitnet.data.sources import Source
from bitnet.data.specs import ValidationSpec
from bitnet.data.tokenizer import Tokenizer

log = logging.getLogger(__name__)


class ValidationLoader:
    """A list of batches that lightning takes for one loader, not for a loader each."""

    def __init__(self, batches: list[Batch]) -> None:
        """Keep `batches`."""
        self._batches = batches

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches in their order, the same each time."""
        return iter(self._batches)


def validation_batches(
    sources: Sequence[Source],
    tokenizer: Tokenizer,
    spec: ValidationSpec,
    sequence_length: int,
    micro_batch: int,
) -> list[Batch]:
    """Batches over all sources in order; the last one holds what is left.

    Args:
        sources: sources in the order of their index.
        tokenizer: text to ids.
        spec: what is held out and how much of it is used.
        sequence_length: predicted tokens of a sample, T.
        micro_batch: samples of a batch, B.

    Raises:
        DataError: a source has no held-out document, or too little for one sample.
    """
    per_source = [_samples(source, tokenizer, spec, sequence_length) for source in sources]
    tokens = torch.from_numpy(np.concatenate(per_source))
    counts = torch.tensor([len(samples) for samples in per_source])
    source = torch.repeat_interleave(torch.arange(len(sources), dtype=torch.uint8), counts)
    split = zip(tokens.split(micro_batch), source.split(micro_batch), strict=True)
    return [{"tokens": part, "source": origin} for part, origin in split]


def _samples(
    source: Source, tokenizer: Tokenizer, spec: ValidationSpec, sequence_length: int
) -> NDArray[np.int32]:
    """Packed validation samples of one source, `[N, T+1]`."""
    wanted = max(1, spec.tokens_per_source // sequence_length)
    length = sequence_length + 1
    ids: list[int] = []
    documents = 0
    for text in held_out_documents(source, spec.fraction):
        documents += 1
        for start, end in pieces_of(text):
            ids += tokenizer.encode(text[start:end])
            if len(ids) >= wanted * length:
                break
        ids.append(tokenizer.eos_id)
        if len(ids) >= wanted * length:
            break
    count = min(wanted, len(ids) // length)
    _check_enough(source, spec, documents, len(ids), length, count)
    if count < wanted:
        short = "source '%s' has held-out text for %d validation samples instead of %d"
        log.info(short, source.name, count, wanted)
    return np.asarray(ids[: count * length], dtype=np.int32).reshape(count, length)


def held_out_documents(source: Source, fraction: float) -> Iterator[str]:
    """Texts of the held-out documents of a source in file order.

    Unusable records are passed over here: the training stream is what reports them.
    """
    for file in range(len(source.files)):
        for record in source.read(file, Selection()):
            kind, _, _ = judge(record, fraction)
            if kind is Kind.HELD_OUT and record.text is not None:
                yield record.text


def _check_enough(
    source: Source, spec: ValidationSpec, documents: int, tokens: int, length: int, count: int
) -> None:
    if not documents:
        raise DataError(
            f"validation.fraction: {spec.fraction} holds out no document of source "
            f"'{source.name}'; raise it, or give the source more documents"
        )
    if not count:
        raise DataError(
            f"validation.fraction: the {documents} held-out documents of source '{source.name}' "
            f"make {tokens} tokens, less than one sample of {length}; raise it"
        )
