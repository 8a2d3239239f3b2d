"""The mixture read and tokenised on the fly: its loader, its position, its report.

Loaders run ahead of training, so the position is not where they are: the cursors of the last
trained batch are looked up in a ledger and gathered from all ranks, which makes the saved state the
same on each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from bitnet.data.cursor import Cursor
from bitnet.data.feed import FedBatch, FeedPlan, MixtureFeed, StreamCursors
from bitnet.data.fingerprint import Fingerprint, stream_fingerprint
from bitnet.data.ledger import CursorLedger
from bitnet.data.loader import Batch, TrainLoader
from bitnet.data.ranks import gathered, shared_batches
from bitnet.data.report import SourceReport, source_reports
from bitnet.data.sizes import Size, estimated_tokens
from bitnet.data.specs import ValidationSpec
from bitnet.data.validation import validation_batches


class StreamedMixture:
    """One rank's side of a mixture that is tokenised while it is trained on."""

    def __init__(self, plan: FeedPlan) -> None:
        """Stand before the first batch of `plan`."""
        plan.check_division()
        self.plan = plan
        self._ledger = CursorLedger(0, {})

    def on_rank(self, rank: int, world: int) -> None:
        """Take this rank's share; the files are the same."""
        self.plan = replace(self.plan, rank=rank, world=world)
        self.plan.check_division()

    def loader(self, trained: int) -> TrainLoader:
        """An endless loader that starts after `trained` batches of this rank."""
        plan = self.plan

        def feed() -> Any:
            return partial(_batches, plan, self._ledger.rewind(trained))

        return TrainLoader(feed, trained, plan.stream.workers, plan.world, self._unpack)

    def validation(self, spec: ValidationSpec) -> list[Batch]:
        """The validation batches."""
        plan = self.plan
        return validation_batches(
            plan.sources, plan.tokenizer, spec, plan.sequence_length, plan.micro_batch
        )

    def sizes(self, published: Mapping[str, float]) -> dict[str, Size]:
        """Tokens of each source: as published, else estimated from its beginning."""
        return {
            source.name: Size(published[source.name], "published")
            if source.name in published
            else estimated_tokens(source, self.plan.tokenizer)
            for source in self.plan.sources
        }

    def fingerprint(self) -> Fingerprint:
        """What fixes the sequence of samples and can only be told of a stream."""
        return stream_fingerprint(self.plan)

    def position(self, trained: int) -> dict[str, Any]:
        """Where all ranks stand after `trained` batches each; a collective of all ranks."""
        cursors = self._cursors(trained)
        names = [source.name for source in self.plan.sources]
        plain = {
            str(stream): {names[index]: cursor.as_dict() for index, cursor in at.items()}
            for stream, at in sorted(cursors.items())
        }
        return {"trained_batches": trained, "world_size": self.plan.world, "cursors": plain}

    def go_to(self, position: Mapping[str, Any]) -> int:
        """Go on from a saved position; returns the trained batches of this rank.

        Raises:
            DataError: this number of ranks cannot share it.
        """
        plan = self.plan
        done = position["trained_batches"] * position["world_size"]
        trained = shared_batches(done, plan.world)
        names = [source.name for source in plan.sources]
        cursors = {
            int(stream): {names.index(n): Cursor.from_dict(cursor) for n, cursor in at.items()}
            for stream, at in position["cursors"].items()
            if int(stream) % plan.world == plan.rank
        }
        self._ledger = CursorLedger(trained, cursors)
        return trained

    def reports(self, trained: int) -> list[SourceReport]:
        """What each source has given to all ranks; a collective of all ranks."""
        plan = self.plan
        names = [source.name for source in plan.sources]
        samples = trained * plan.world * plan.micro_batch
        return source_reports(
            self._cursors(trained),
            names,
            plan.order,
            samples,
            plan.sequence_length,
            plan.stream.streams,
        )

    def _cursors(self, trained: int) -> StreamCursors:
        """Cursors of all ranks together; each stream belongs to one rank."""
        parts = gathered(self._ledger.at(trained))
        return {stream: at for part in parts for stream, at in part.items()}

    def _unpack(self, batch: FedBatch) -> list[Batch]:
        self._ledger.record(batch)
        return [{"tokens": batch.tokens, "source": batch.source}]


def _batches(plan: FeedPlan, cursors: StreamCursors, first: int, step: int) -> Iterator[FedBatch]:
    return iter(MixtureFeed(plan, first, step, cursors))
