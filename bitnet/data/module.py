"""The face of the data room towards the training loop.

The position of a run is kept here and not in a loader: lightning saves the loader of rank 0 only,
one batch ahead, and forgets it on some paths. `trained_batches` is set by the training room before
a checkpoint is written; what is saved means the same on every rank, and can be resumed on another
number of them. Whether documents are tokenised on the fly or were prepared is decided by the
corpus; the batches, the position and the report have one form.
"""

from __future__ import annotations

import logging
from typing import Any

import lightning

from bitnet.data.corpus import CorpusSpec
from bitnet.data.errors import DataError
from bitnet.data.feed import FeedPlan
from bitnet.data.fingerprint import Fingerprint, mix_fingerprint, refuse_changes
from bitnet.data.loader import TrainLoader
from bitnet.data.mix import MixSpec, order_of, resolved, weights_problems
from bitnet.data.passes import Passes, expected_passes, pass_warnings, refuse_short
from bitnet.data.prepared.corpus import PreparedCorpus
from bitnet.data.prepared_mixture import PreparedMixture
from bitnet.data.ranks import rank_and_world
from bitnet.data.report import SourceReport
from bitnet.data.specs import StreamSpec, ValidationSpec
from bitnet.data.streamed import StreamedMixture
from bitnet.data.tokenizer import Tokenizer
from bitnet.data.validation import ValidationLoader

log = logging.getLogger(__name__)


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
        mix: MixSpec,
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
            mix: how much of the training each source gets.
            tokenizer: see `load_tokenizer`.
            sequence_length: predicted tokens of a sample, T; samples hold T+1.
            micro_batch: samples of a batch on one rank, B.
            seed: key of the order of samples and documents.
            stream: how documents become batches.
            validation: what is held out.
        """
        super().__init__()
        self.mix = mix
        self.tokenizer = tokenizer
        self.trained_batches = 0
        self._corpus = corpus
        self._sequence_length = sequence_length
        self._micro_batch = micro_batch
        self._seed = seed
        self._stream = stream or StreamSpec()
        self._validation = validation or ValidationSpec()
        self._feed: StreamedMixture | PreparedMixture | None = None
        self._validation_loader: ValidationLoader | None = None

    @property
    def source_names(self) -> list[str]:
        """Names of the sources in the order of their index."""
        return self.mix.names

    def prepare_data(self) -> None:
        """Build what is missing on this machine, once, before the other ranks look for it."""
        if self._feed is not None:
            return  # opened already, and lists far away are not asked for twice
        if isinstance(self._corpus, PreparedCorpus):
            self._corpus.open_set()  # hashes what was changed since it was last hashed
        else:
            self._corpus.open(self.mix.names or None)

    def setup(self, stage: str | None = None) -> None:
        """Open the corpus and check the settings against it; later calls do nothing.

        Raises:
            DataError: the corpus, the mix or the settings are unusable.
        """
        rank, world = rank_and_world()
        if self._feed is None:
            specs = (self._corpus, self._stream, self._validation)
            found = [line for spec in specs for line in spec.problems()]
            found += [f"mix.{line}" for line in self.mix.problems()]
            if found:
                raise DataError("; ".join(found))
            prepared = isinstance(self._corpus, PreparedCorpus)
            self._feed = self._open_prepared() if prepared else self._open_stream()
        # Opened before torch.distributed was: the files are the same, the share is not.
        self._feed.on_rank(rank, world)

    def train_dataloader(self) -> TrainLoader:
        """An endless loader that starts after `trained_batches` batches of this rank."""
        return self._ready().loader(self.trained_batches)

    def val_dataloader(self) -> ValidationLoader:
        """All validation batches, the same ones on every rank; the last one may be smaller."""
        if self._validation_loader is None:
            batches = self._ready().validation(self._validation)
            self._validation_loader = ValidationLoader(batches)
        return self._validation_loader

    def fingerprint(self) -> Fingerprint:
        """Everything that must stay the same for a run to be continued, as a flat dict."""
        feed = self._ready().fingerprint()
        return {
            "seed": self._seed,
            "sequence_length": self._sequence_length,
            "tokenizer": self.tokenizer.fingerprint,
            "validation.fraction": float(self._validation.fraction),
            "validation.tokens_per_source": self._validation.tokens_per_source,
            **mix_fingerprint(self.mix),
            **feed,
        }

    def state_dict(self) -> dict[str, Any]:
        """Position after `trained_batches` batches, in plain values.

        When torch.distributed is initialised this is a collective: every rank must call it.
        """
        position = self._ready().position(self.trained_batches)
        return {**position, "fingerprint": self.fingerprint()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved position, also on another number of ranks or workers.

        Raises:
            DataError: the data or a setting that fixes the samples has changed, or the saved
                position cannot be reached on this number of ranks.
        """
        feed = self._ready()
        refuse_changes(state_dict["fingerprint"], self.fingerprint())
        self.trained_batches = feed.go_to(state_dict)

    def report(self) -> list[SourceReport]:
        """What each source has given to all ranks in `trained_batches` batches of each.

        A collective like `state_dict` when torch.distributed is initialised.
        """
        return self._ready().reports(self.trained_batches)

    def expected_passes(self, tokens: int) -> list[Passes]:
        """Passes over each source in a run of `tokens` tokens; warns of those that are unwise.

        Raises:
            DataError: a source is known to be too small for the passes that it may be read.
        """
        sizes = self._ready().sizes(self._corpus.known_tokens())
        passes = expected_passes(self.mix, sizes, tokens, self._validation.fraction)
        refuse_short(self.mix, passes)
        for line in pass_warnings(self.mix, passes):
            log.warning(line)
        return passes

    def feed(self) -> StreamedMixture | PreparedMixture:
        """The opened feed, for those who look up what a run has seen."""
        return self._ready()

    def _open_stream(self) -> StreamedMixture:
        sources = self._corpus.open(self.mix.names or None)
        self._resolve({name: self._corpus.size_of(sources[name]) for name in sources})
        plan = FeedPlan(
            sources=tuple(sources[name] for name in self.mix.names),
            order=order_of(self.mix, self._seed, self._sequence_length),
            tokenizer=self.tokenizer,
            sequence_length=self._sequence_length,
            micro_batch=self._micro_batch,
            stream=self._stream,
            held_out_fraction=self._validation.fraction,
            max_epochs=self.mix.max_epochs,
        )
        return StreamedMixture(plan)

    def _open_prepared(self) -> PreparedMixture:
        assert isinstance(self._corpus, PreparedCorpus)
        shards = self._corpus.open_set()
        shards.refuse_tokenizer(self.tokenizer)
        shards.refuse_fraction(self._validation.fraction)
        self._resolve({name: float(source.tokens) for name, source in shards.sources.items()})
        return PreparedMixture(
            shards,
            self.mix,
            order_of(self.mix, self._seed, self._sequence_length),
            self._sequence_length,
            self._micro_batch,
            self._stream.workers,
        )

    def _resolve(self, sizes: dict[str, float]) -> None:
        """Write the weights down, and check their names against the sources that there are."""
        self.mix = resolved(self.mix, sizes)
        found = weights_problems(self.mix.weights, sizes)
        for stage in self.mix.stages:
            found += weights_problems(stage.weights, sizes)
        if found:
            raise DataError(f"mix: {'; '.join(dict.fromkeys(found))}")

    def _ready(self) -> StreamedMixture | PreparedMixture:
        self.setup()
        assert self._feed is not None
        return self._feed
