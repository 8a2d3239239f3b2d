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
from bitnet.data.records import Unit
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
    wanted = wanted_tokens(spec, sequence_length)
    ids = [held_out_ids(source, tokenizer, spec.fraction, wanted) for source in sources]
    names = [source.name for source in sources]
    return batches_of(names, ids, spec, sequence_length, micro_batch)


def wanted_tokens(spec: ValidationSpec, sequence_length: int) -> int:
    """Held-out tokens that a source gives: whole samples of T+1, and at least one."""
    return max(1, spec.tokens_per_source // sequence_length) * (sequence_length + 1)


def batches_of(
    names: Sequence[str],
    ids: Sequence[NDArray[np.int32]],
    spec: ValidationSpec,
    sequence_length: int,
    micro_batch: int,
) -> list[Batch]:
    """Batches of the held-out tokens of each source, cut into samples.

    Raises:
        DataError: a source has less than one sample.
    """
    wanted = wanted_tokens(spec, sequence_length) // (sequence_length + 1)
    per_source = []
    for name, held in zip(names, ids, strict=True):
        count = min(wanted, len(held) // (sequence_length + 1))
        _check_enough(name, spec, len(held), sequence_length + 1)
        if count < wanted:
            short = "source '%s' has held-out text for %d validation samples instead of %d"
            log.info(short, name, count, wanted)
        samples = held[: count * (sequence_length + 1)].reshape(count, sequence_length + 1)
        per_source.append(samples.astype(np.int32))
    tokens = torch.from_numpy(np.concatenate(per_source))
    counts = torch.tensor([len(samples) for samples in per_source])
    source = torch.repeat_interleave(torch.arange(len(names), dtype=torch.uint8), counts)
    split = zip(tokens.split(micro_batch), source.split(micro_batch), strict=True)
    return [{"tokens": part, "source": origin} for part, origin in split]


def held_out_ids(
    source: Source, tokenizer: Tokenizer, fraction: float, wanted: int
) -> NDArray[np.int32]:
    """The first `wanted` held-out tokens of a source, or all if there are fewer."""
    ids: list[int] = []
    for text, ends in held_out_texts(source, fraction):
        for start, end in pieces_of(text):
            ids += tokenizer.encode(text[start:end])
            if len(ids) >= wanted:
                break
        if ends:
            ids.append(tokenizer.eos_id)
        if len(ids) >= wanted:
            break
    return np.asarray(ids[:wanted], dtype=np.int32)


def held_out_texts(source: Source, fraction: float) -> Iterator[tuple[str, bool]]:
    """Texts of the held-out documents of a source in file order, and whether each ends one.

    Unusable records are passed over here: the training stream is what reports them.
    """
    for file in range(len(source.files)):
        wanted = False
        for record in source.read(Unit(file)):
            kind, _, _ = judge(record, fraction)
            wanted = wanted if record.part else kind is Kind.HELD_OUT
            if wanted and record.text is not None:
                yield record.text, record.last


def _check_enough(name: str, spec: ValidationSpec, tokens: int, length: int) -> None:
    if not tokens:
        raise DataError(
            f"validation.fraction: {spec.fraction} holds out no document of source "
            f"'{name}'; raise it, or give the source more documents"
        )
    if tokens < length:
        raise DataError(
            f"validation.fraction: the held-out documents of source '{name}' "
            f"make {tokens} tokens, less than one sample of {length}; raise it"
        )
