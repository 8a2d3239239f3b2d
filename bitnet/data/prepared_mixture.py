"""The mixture of prepared token shards: the position is one number, the sample.

Whatever the number of ranks, workers or micro-batches, sample *i* of the run is the same, so a run
can go on with other ones of all three.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bitnet.data.errors import DataError
from bitnet.data.fingerprint import FEED_VERSION, Fingerprint
from bitnet.data.loader import Batch, TrainLoader
from bitnet.data.mix import MixSpec
from bitnet.data.prepared.feed import PreparedFeed
from bitnet.data.prepared.shards import PreparedSet
from bitnet.data.report import SourceReport
from bitnet.data.sampler import MixtureOrder
from bitnet.data.sizes import Size
from bitnet.data.specs import ValidationSpec
from bitnet.data.validation import batches_of, wanted_tokens

_BUNDLE_BYTES = 1 << 21
_MOST_TOGETHER = 32

Arrays = tuple[NDArray[np.int32], NDArray[np.uint8]]


class PreparedMixture:
    """One rank's side of a mixture of prepared tokens."""

    def __init__(
        self,
        shards: PreparedSet,
        mix: MixSpec,
        order: MixtureOrder,
        sequence_length: int,
        micro_batch: int,
        workers: int,
    ) -> None:
        """Stand before sample 0.

        Args:
            shards: the opened set.
            mix: the resolved mix.
            order: the order of sources that it stands for.
            sequence_length: predicted tokens of a sample, T.
            micro_batch: samples of a batch on one rank, B.
            workers: worker processes; none is the fastest, as reading is only copying.
        """
        self.order = order
        self.feed = PreparedFeed(shards, mix.names, order, sequence_length, mix.max_epochs)
        self.micro_batch = micro_batch
        self._shards = shards
        self._names = mix.names
        self._length = sequence_length
        self._workers = workers
        self.rank, self.world = 0, 1

    def on_rank(self, rank: int, world: int) -> None:
        """Take this rank's share."""
        self.rank, self.world = rank, world

    def loader(self, trained: int) -> TrainLoader:
        """An endless loader that starts after `trained` batches of this rank."""
        together = self._together() if self._workers else 1

        def feed() -> _Batches:
            return _Batches(self.feed, trained, self.micro_batch, self.rank, self.world, together)

        return TrainLoader(feed, 0, self._workers, self.world, self._apart)

    def _together(self) -> int:
        """Batches that a worker sends at once."""
        return min(
            _MOST_TOGETHER, max(1, _BUNDLE_BYTES // (self.micro_batch * (self._length + 1) * 4))
        )

    def _apart(self, bundle: Batch) -> Iterator[Batch]:
        size = self.micro_batch
        pairs = zip(bundle["tokens"].split(size), bundle["source"].split(size), strict=True)
        for tokens, source in pairs:
            yield {"tokens": tokens, "source": source}

    def validation(self, spec: ValidationSpec) -> list[Batch]:
        """The validation batches: the tokens that a stream of the same corpus holds out."""
        wanted = wanted_tokens(spec, self._length)
        ids = [self._shards.held_out_ids(name, wanted) for name in self._names]
        return batches_of(self._names, ids, spec, self._length, self.micro_batch)

    def sizes(self, published: Mapping[str, float]) -> dict[str, Size]:
        """Training tokens of each source, counted; what is published does not matter."""
        sources = self._shards.sources
        return {name: Size(sources[name].tokens, "counted") for name in self._names}

    def fingerprint(self) -> Fingerprint:
        """What fixes the samples besides mix, tokenizer and validation."""
        digests = self._shards.fingerprint()
        found: Fingerprint = {"feed": f"prepared {FEED_VERSION}"}
        return found | {f"data.{name}": digests[name] for name in self._names}

    def position(self, trained: int) -> dict[str, Any]:
        """Where all ranks stand after `trained` batches each."""
        return {"samples": trained * self.world * self.micro_batch}

    def go_to(self, position: Mapping[str, Any]) -> int:
        """Go on from a saved position; returns the trained batches of this rank.

        Raises:
            DataError: the samples are no whole number of batches of all ranks.
        """
        samples, each = int(position["samples"]), self.world * self.micro_batch
        if samples % each:
            raise DataError(
                f"the saved position is sample {samples}, which is no multiple of {each} "
                f"({self.world} ranks times batch.micro={self.micro_batch}); resume with others"
            )
        return samples // each

    def reports(self, trained: int) -> list[SourceReport]:
        """What each source has given to all ranks."""
        samples = trained * self.world * self.micro_batch
        counts, shares = self.order.counts(samples), self.order.shares(samples)
        return [
            self._report(name, int(counts[index]), shares[index], samples)
            for index, name in enumerate(self._names)
        ]

    def _report(self, name: str, given: int, weight: float, samples: int) -> SourceReport:
        source = self._shards.sources[name]
        epochs = given * (self._length + 1) / source.tokens if given else 0.0
        return SourceReport(
            name=name,
            weight=weight,
            share=given / samples if samples else 0.0,
            samples=given,
            tokens=given * self._length,
            documents=round(epochs * source.documents),
            epochs=epochs,
            empty=source.empty,
            broken=source.broken,
            held_out=source.held_out_documents,
        )


class _Batches:
    """The batches of one rank in bundles: for workers, a message costs far more than a copy."""

    def __init__(
        self, feed: PreparedFeed, first: int, size: int, rank: int, world: int, together: int
    ) -> None:
        """Begin with batch `first` of the rank."""
        self._feed = feed
        self._first = first
        self._size = size
        self._rank = rank
        self._world = world
        self._together = together

    def __call__(self, first: int, step: int) -> Iterator[Batch]:
        """Bundles `first`, `first + step`, …, each of the batches that follow those before."""
        for bundle in count(first, step):
            begins = self._first + bundle * self._together
            parts = [self._batch(begins + place) for place in range(self._together)]
            tokens, source = parts[0] if len(parts) == 1 else _joined(parts)
            yield {"tokens": torch.from_numpy(tokens), "source": torch.from_numpy(source)}

    def _batch(self, number: int) -> Arrays:
        return self._feed.batch((number * self._world + self._rank) * self._size, self._size)


def _joined(parts: list[Arrays]) -> Arrays:
    tokens, sources = zip(*parts, strict=True)
    return np.concatenate(tokens), np.concatenate(sources)
