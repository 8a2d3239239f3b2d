"""The shards of a folder that are still to be made, biggest first, and how far that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from bitnet.data.errors import DataError
from bitnet.data.prepared.checking import size_problem
from bitnet.data.prepared.files import read_json
from bitnet.data.prepared.jobs import ShardJob, ShardRules
from bitnet.data.prepared.layout import shard_stem, source_folder
from bitnet.data.prepared.maker import ShardMaker
from bitnet.data.prepared.meter import Step
from bitnet.data.prepared.pool import Pool
from bitnet.data.prepared.shard_record import ShardRecord
from bitnet.data.records import Unit
from bitnet.data.sources import Source
from bitnet.data.tokenizer import Tokenizer


class Verdicts(Protocol):
    """What the quality steps have decided."""

    def dropped(self, source: str, unit: int) -> Mapping[int, str]:
        """Records of a unit that are left out, and why."""
        ...


@dataclass(frozen=True)
class Quality:
    """The quality steps.

    Attributes:
        settings: theirs, as a flat dict; they belong to the plan.
        judge: runs them; called once, when the plan has been settled.
    """

    settings: Mapping[str, object]
    judge: Callable[[], Verdicts]


@dataclass(frozen=True)
class Settings:
    """How a corpus is prepared.

    Attributes:
        rules: what is done with each record.
        range_bytes: plain files are cut into shards of at most so many stored bytes.
        bad_records_limit: most broken records that are skipped; one more ends the work.
        workers: processes; 0 works in this one.
    """

    rules: ShardRules
    range_bytes: int = 256_000_000
    bad_records_limit: int | None = None
    workers: int = 1


@dataclass
class Progress:
    """How far the work is.

    Attributes:
        stored, all_stored: bytes of the input, as far as its sizes are known.
        shards, all_shards: finished ones, and all.
        kept: shards that an earlier command had finished.
        tokens: made by this command.
        broken: records skipped.
    """

    stored: int = 0
    all_stored: int = 0
    shards: int = 0
    all_shards: int = 0
    kept: int = 0
    tokens: int = 0
    broken: int = 0


class Work:
    """What is done and what is left in one folder."""

    def __init__(
        self,
        folder: Path,
        sources: Mapping[str, Source],
        settings: Settings,
        on_progress: Callable[[Progress], None],
    ) -> None:
        """Find out which shards are finished: their record and all their files are there."""
        self._folder = folder
        self._sources = sources
        self._settings = settings
        self._on_progress = on_progress
        self._units = {name: sources[name].units(settings.range_bytes) for name in sorted(sources)}
        self._done: dict[tuple[str, int], ShardRecord] = {}
        self._left: list[ShardJob] = []
        self.progress = Progress()
        for name, units in self._units.items():
            for number, unit in enumerate(units):
                self._sort(ShardJob(name, number, unit, _size(sources[name], unit)))
        self._left.sort(key=lambda job: -job.size)

    @property
    def is_done(self) -> bool:
        """Whether no shard is left to be made."""
        return not self._left

    def shards(self) -> dict[str, list[ShardRecord]]:
        """Records of all shards by source, in the order of the units."""
        return {
            name: [self._done[name, number] for number in range(len(units))]
            for name, units in self._units.items()
        }

    def finish(self, tokenizer: Tokenizer, verdicts: Verdicts | None) -> None:
        """Make what is left.

        Raises:
            DataError: see `prepare`.
        """
        self._on_progress(self.progress)
        for name in self._units:
            (self._folder / source_folder(name)).mkdir(exist_ok=True)
        maker = ShardMaker(self._folder, self._sources, tokenizer, self._settings.rules)
        workers = min(self._settings.workers, len(self._left))
        pool: Pool[ShardJob, Step, ShardRecord] = Pool(maker, workers, self._step, self._finished)
        pool.run(self._jobs(verdicts))

    def _sort(self, job: ShardJob) -> None:
        """Put a shard with the finished ones, or with those that are left."""
        record = self._finished_record(job)
        self.progress.all_shards += 1
        self.progress.all_stored += job.size
        if record is None:
            self._left.append(job)
            return
        self._done[job.source, job.unit] = record
        self.progress.shards += 1
        self.progress.kept += 1
        self.progress.stored += job.size
        self.progress.broken += record.broken

    def _finished_record(self, job: ShardJob) -> ShardRecord | None:
        path = self._folder / f"{shard_stem(job.source, job.unit)}.json"
        if not path.is_file():
            return None
        try:
            record = ShardRecord.from_dict(read_json(path))
        except (DataError, KeyError, TypeError):
            return None  # it isn't ours to repair: the shard is made again
        gone = any(size_problem(self._folder, name, stored) for name, stored in record.files())
        return None if gone else record

    def _jobs(self, verdicts: Verdicts | None) -> Iterator[ShardJob]:
        for job in self._left:
            dropped = verdicts.dropped(job.source, job.unit) if verdicts else {}
            yield replace(job, dropped=dict(dropped))

    def _step(self, step: Step) -> None:
        self.progress.stored += step.stored
        self.progress.tokens += step.tokens
        self.progress.broken += step.broken
        limit = self._settings.bad_records_limit
        if step.broken and limit is not None and self.progress.broken > limit:
            raise DataError(
                f"{step.fault}; with it {self.progress.broken} records are unusable, more than "
                f"bad_records_limit={limit}"
            )
        self._on_progress(self.progress)

    def _finished(self, record: ShardRecord) -> None:
        self._done[record.source, record.unit] = record
        self.progress.shards += 1
        self._on_progress(self.progress)


def _size(source: Source, unit: Unit) -> int:
    """Stored bytes of a unit; 0 if nobody knows."""
    end = source.files[unit.file].stored_bytes() if unit.end is None else unit.end
    return max(0, end - unit.start)
