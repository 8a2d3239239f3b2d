"""The settings of the feed as plain dataclasses, so that `config/` can use them as schemas.

They hold values only. `problems()` reports what a value alone can get wrong; what depends on
files, ranks or tokenizers is checked where those are known.
"""

from dataclasses import dataclass

BAD_RECORD_POLICIES = ("stop", "skip")
"""What to do with a record that cannot be used: end the run, or count it and go on."""

DEFAULT_SHUFFLE_MEGABYTES = 16.0
LARGEST_SHUFFLE_MEGABYTES = 4096.0


@dataclass
class StreamSpec:
    """How documents become a sequence of batches.

    Attributes:
        streams: number of logical streams the corpus is dealt to. It fixes the sequence of
            samples; world size times workers must divide it.
        shuffle_megabytes: megabytes of text of one source that are shuffled together, over all
            streams (each stream holds its share of it in memory).
        workers: DataLoader worker processes of each rank; 0 reads in the training process. It
            changes the speed, never the samples.
        on_bad_record: "stop" ends the run at an unusable record, "skip" counts it and goes on.
        bad_records_limit: with "skip", most unusable records that one stream may meet in one source
            since it was started; one more ends the run. `None` is no limit.
    """

    streams: int = 8
    shuffle_megabytes: float = DEFAULT_SHUFFLE_MEGABYTES
    workers: int = 0
    on_bad_record: str = "stop"
    bad_records_limit: int | None = None

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = []
        if self.streams < 1:
            found.append(f"streams: {self.streams} is not a positive number of streams")
        if not 0 < self.shuffle_megabytes <= LARGEST_SHUFFLE_MEGABYTES:
            found.append(
                f"shuffle_megabytes: {self.shuffle_megabytes} is not between 0 and "
                f"{LARGEST_SHUFFLE_MEGABYTES:g}"
            )
        if self.workers < 0:
            found.append(f"workers: {self.workers} is negative; use 0 for the training process")
        elif self.streams >= 1 and self.streams % max(self.workers, 1):
            found.append(f"workers: {self.workers} does not divide streams {self.streams}")
        if self.on_bad_record not in BAD_RECORD_POLICIES:
            found.append(
                f"on_bad_record: '{self.on_bad_record}' is not one of "
                f"{', '.join(BAD_RECORD_POLICIES)}"
            )
        if self.bad_records_limit is not None and self.bad_records_limit < 0:
            found.append(f"bad_records_limit: {self.bad_records_limit} is negative")
        return found

    @property
    def block_bytes(self) -> int:
        """Bytes of text in one shuffle block of one stream."""
        return max(1, int(self.shuffle_megabytes * 1e6 / self.streams))


@dataclass
class ValidationSpec:
    """Which documents are kept from training, and how many of their tokens are scored.

    Attributes:
        fraction: share of the documents of every source that never trains, chosen by a hash of
            the text, so that it is the same for all seeds, mixes and layouts.
        tokens_per_source: predicted tokens of each source in the validation set.
    """

    fraction: float = 0.05
    tokens_per_source: int = 65536

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = []
        if not 0 < self.fraction < 1:
            found.append(f"fraction: {self.fraction} is not between 0 and 1 (both excluded)")
        if self.tokens_per_source < 1:
            found.append(f"tokens_per_source: {self.tokens_per_source} is not positive")
        return found
