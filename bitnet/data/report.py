"""What the mixture really was: the numbers that show whether the weights were kept.

All of them come from cursors, so a report can be made of a running feed or of a saved one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitnet.data.cursor import Cursor
from bitnet.data.feed import StreamCursors
from bitnet.data.sampler import MixtureOrder


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What one source has given to training.

    Attributes:
        name: name of the source.
        weight: share it should have so far, by the weights and the stages passed.
        share: share of the samples it had.
        samples: samples drawn from it.
        tokens: predicted tokens in them.
        documents: documents read to their end, repeats included.
        epochs: passes over the source, as a mean over the streams and estimated by stored bytes.
        empty: documents without text that were passed over.
        broken: unusable records that were skipped.
        held_out: documents left to validation.
    """

    name: str
    weight: float
    share: float
    samples: int
    tokens: int
    documents: int
    epochs: float
    empty: int
    broken: int
    held_out: int


def source_reports(
    cursors: StreamCursors,
    names: Sequence[str],
    order: MixtureOrder,
    trained: int,
    sequence_length: int,
    streams: int,
) -> list[SourceReport]:
    """Sum up the cursors of `streams` streams, source by source, after `trained` samples."""
    weights = order.shares(trained)
    by_source = [
        [at[index] for at in cursors.values() if index in at] for index in range(len(names))
    ]
    total = sum(cursor.samples for found in by_source for cursor in found)
    return [
        SourceReport(
            name=name,
            weight=weight,
            share=samples / total if total else 0.0,
            samples=samples,
            tokens=samples * sequence_length,
            documents=sum(cursor.documents for cursor in found),
            epochs=sum(_epochs(cursor) for cursor in found) / streams,
            empty=sum(cursor.empty for cursor in found),
            broken=sum(cursor.broken for cursor in found),
            held_out=sum(cursor.held_out for cursor in found),
        )
        for name, weight, found in zip(names, weights, by_source, strict=True)
        for samples in [sum(cursor.samples for cursor in found)]
    ]


def _epochs(cursor: Cursor) -> float:
    return cursor.epoch + cursor.done / 1000
