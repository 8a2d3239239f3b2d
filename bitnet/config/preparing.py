"""The shape of ``bitnet prepare``'s configuration."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from bitnet.config.errors import nearest
from bitnet.data import CorpusSpec
from bitnet.data.quality.spec import QualitySpec
from bitnet.data.specs import BAD_RECORD_POLICIES, ValidationSpec


@dataclass
class HeldOut:
    """Which documents never train: this share of them, chosen by a hash of the text."""

    fraction: float = 0.05


@dataclass
class PrepareConfig:
    """``bitnet prepare``: which corpus becomes token shards, and how.

    Attributes:
        output: folder of the shards.
        data: the corpus.
        tokenizer: what makes the tokens.
        subsets: sources to prepare; ``None``: all that the corpus has.
        validation: what is held out.
        shuffle: put the documents of each shard in a keyed order.
        range_megabytes: large plain files are cut into shards of at most so much text.
        workers: processes; ``None``: one for each core, 0: none but this one.
        on_bad_record: ``stop`` ends the work at an unusable record, ``skip`` counts it.
        bad_records_limit: with ``skip``, most unusable records in all; ``None``: no limit.
        quality: steps that leave documents out, each off until it is asked for.
    """

    output: str = MISSING
    data: CorpusSpec = MISSING
    tokenizer: str = MISSING
    subsets: list[str] | None = None
    validation: HeldOut = field(default_factory=HeldOut)
    shuffle: bool = True
    range_megabytes: float = 256.0
    workers: int | None = None
    on_bad_record: str = "stop"
    bad_records_limit: int | None = 1000
    quality: QualitySpec = field(default_factory=QualitySpec)

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with its path."""
        held_out = ValidationSpec(fraction=self.validation.fraction)
        found = [f"data.{line}" for line in self.data.problems()]
        found += [f"validation.{line}" for line in held_out.problems()]
        found += [f"quality.{line}" for line in self.quality.problems()]
        if not self.output:
            found.append("output: is empty; name the folder of the shards")
        if self.subsets is not None and not self.subsets:
            found.append("subsets: is empty; null takes all sources")
        if not self.range_megabytes >= 1e-3:
            found.append(f"range_megabytes: {self.range_megabytes} is less than a kilobyte")
        if self.workers is not None and self.workers < 0:
            found.append(f"workers: {self.workers} is negative; use 0 for this process alone")
        if self.on_bad_record not in BAD_RECORD_POLICIES:
            hint = nearest(self.on_bad_record, list(BAD_RECORD_POLICIES))
            valid = ", ".join(BAD_RECORD_POLICIES)
            found.append(f"on_bad_record: '{self.on_bad_record}' is unknown{hint} (valid: {valid})")
        if self.bad_records_limit is not None and self.bad_records_limit < 0:
            found.append(f"bad_records_limit: {self.bad_records_limit} is negative")
        return found
