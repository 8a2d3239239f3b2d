"""The face of the data room towards the training loop.

The position of a run is kept here and not in a loader: lightning saves the loader of rank 0 only,
one batch ahead, and forgets it on some paths. `trained_batches` is set by the training room before
a checkpoint is written; the cursors of exactly that batch are looked up and gathered from all
ranks, so that the saved state is the same on each and can be resumed on another number of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import lightning
import torch.distributed as dist

from bitnet.data.corpus import CorpusSpec
from bitnet.data.cursor import Cursor
from bitnet.data.errors import DataError
from bitnet.data.feed import FeedPlan, StreamCursors
from bitnet.data.fingerprint import Fingerprint, fingerprint_of, refuse_changes
from bitnet.data.ledger import CursorLedger
from bitnet.data.loader import TrainLoader
from bitnet.data.mix import weights_problems
from bitnet.data.report import SourceReport, source_reports
from bitnet.data.specs import StreamSpec, ValidationSpec
from bitnet.data.tokenizer import Tokenizer
from bitnet.data.validation import ValidationLoader, validation_batches


class MixtureModule(lightning.LightningDataModule):
    """A weighted mixture of the sources of a corpus as batches of packed tokens.

    Attributes:
        source_names: names in alphabetical order; the `source` byte of a sample is the place here.
        trained_batches: micro-batches of this rank that have been trained. Set it before saving
            and before asking for a report.
        tokenizer: the tokenizer that makes the ids.
    """

    def __init__(
        self,
        corpus: CorpusSpec,
        weights: Mapping[str, float],
        tokenizer: Tokenizer,
        sequence_length: int,
        micro_batch: int,
        seed: int,
        stream: StreamSpec | None = None,
        validation: ValidationSpec | None = None,
    ) -> None:
        """Describe the feed; nothing is read before `prepare_data` or `setup`.

        Args:
            corpus: where the documents come from.
            weights: share of the training tokens of each source; they sum to 1.
            tokenizer: see `load_tokenizer`.
            sequence_length: predicted tokens of a sample, T; samples hold T+1.
            micro_batch: samples of a batch on one rank, B.
            seed: key of the order of samples and documents.
            stream: how documents become batches.
            validation: what is held out.
        """
        super().__init__()
        self.source_names = sorted(weights)
        self.tokenizer = tokenizer
        self.trained_batches = 0
        self._corpus = corpus
        self._weights = dict(weights)
        self._sequence_length = sequence_length
        self._micro_batch = micro_batch
        self._seed = seed
        self._stream = stream or StreamSpec()
        self._validation = validation or ValidationSpec()
        self._plan: FeedPlan | None = None
        self._ledger = CursorLedger(0, {})
        self._validation_loader: ValidationLoader | None = None

    def prepare_data(self) -> None:
        """Build what is missing on this machine, once, before the other ranks look for it."""
        self._corpus.open()

    def setup(self, stage: str | None = None) -> None:
        """Open the corpus and check the settings against it; later calls do nothing.

        Raises:
            DataError: the corpus, the mix or the settings are unusable.
        """
        rank, world = _rank_and_world()
        if self._plan is not None:
            # Opened before torch.distributed was: the files are the same, the share is not.
            self._plan = replace(self._plan, rank=rank, world=world)
            self._plan.check_division()
            return
        found = self._corpus.problems() + self._stream.problems() + self._validation.problems()
        if found:
            raise DataError("; ".join(found))
        sources = self._corpus.open()
        found = weights_problems(self._weights, sources)
        if found:
            raise DataError(f"mix: {'; '.join(found)}")
        plan = FeedPlan(
            sources=tuple(sources[name] for name in self.source_names),
            weights=tuple(self._weights[name] for name in self.source_names),
            tokenizer=self.tokenizer,
            sequence_length=self._sequence_length,
            micro_batch=self._micro_batch,
            seed=self._seed,
            stream=self._stream,
            held_out_fraction=self._validation.fraction,
            rank=rank,
            world=world,
        )
        plan.check_division()
        self._plan = plan

    def train_dataloader(self) -> TrainLoader:
        """An endless loader that starts after `trained_batches` batches of this rank."""
        return TrainLoader(self._ready(), self.trained_batches, self._ledger)

    def val_dataloader(self) -> ValidationLoader:
        """All validation batches, the same ones on every rank; the last one may be smaller."""
        if self._validation_loader is None:
            plan = self._ready()
            batches = validation_batches(
                plan.sources,
                plan.tokenizer,
                self._validation,
                plan.sequence_length,
                plan.micro_batch,
            )
            self._validation_loader = ValidationLoader(batches)
        return self._validation_loader

    def fingerprint(self) -> Fingerprint:
        """Everything that must stay the same for a run to be continued, as a flat dict."""
        return fingerprint_of(self._ready(), self._validation)

    def state_dict(self) -> dict[str, Any]:
        """Position after `trained_batches` batches, in plain values.

        When torch.distributed is initialised this is a collective: every rank must call it.
        """
        plan = self._ready()
        cursors = _gather(self._ledger.at(self.trained_batches))
        return {
            "trained_batches": self.trained_batches,
            "world_size": plan.world,
            "cursors": {
                str(stream): {
                    self.source_names[index]: cursor.as_dict() for index, cursor in at.items()
                }
                for stream, at in sorted(cursors.items())
            },
            "fingerprint": self.fingerprint(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved position, also on another number of ranks or workers.

        Raises:
            DataError: the data or a setting that fixes the samples has changed, or the saved
                position cannot be reached on this number of ranks.
        """
        plan = self._ready()
        refuse_changes(state_dict["fingerprint"], self.fingerprint())
        batches = state_dict["trained_batches"] * state_dict["world_size"]
        if batches % plan.world:
            raise DataError(
                f"the saved position is {batches} batches over all ranks, which {plan.world} ranks "
                "cannot share; resume on a number of ranks that divides it"
            )
        cursors = {
            int(stream): {
                self.source_names.index(name): Cursor.from_dict(cursor)
                for name, cursor in at.items()
            }
            for stream, at in state_dict["cursors"].items()
            if int(stream) % plan.world == plan.rank
        }
        self.trained_batches = batches // plan.world
        self._ledger = CursorLedger(self.trained_batches, cursors)

    def report(self) -> list[SourceReport]:
        """What each source has given to all ranks in `trained_batches` batches of each.

        A collective like `state_dict` when torch.distributed is initialised.
        """
        plan = self._ready()
        return source_reports(
            _gather(self._ledger.at(self.trained_batches)),
            self.source_names,
            plan.weights,
            plan.sequence_length,
            plan.stream.streams,
        )

    def _ready(self) -> FeedPlan:
        self.setup()
        assert self._plan is not None
        return self._plan


def _rank_and_world() -> tuple[int, int]:
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def _gather(cursors: StreamCursors) -> StreamCursors:
    """Cursors of all ranks together; each stream belongs to one rank."""
    _, world = _rank_and_world()
    if world == 1:
        return cursors
    parts: list[StreamCursors] = [{} for _ in range(world)]
    dist.all_gather_object(parts, cursors)
    return {stream: at for part in parts for stream, at in part.items()}
