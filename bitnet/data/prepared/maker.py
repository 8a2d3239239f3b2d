"""Makes shards, one after another, in a worker process or here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bitnet.data.prepared.files import flush_folder, full_disk_explained, write_json
from bitnet.data.prepared.jobs import ShardJob, ShardRules
from bitnet.data.prepared.layout import SIDES, shard_stem, token_format
from bitnet.data.prepared.meter import Report
from bitnet.data.prepared.shard import Shard
from bitnet.data.prepared.shard_record import ShardRecord
from bitnet.data.prepared.side import SideWriter
from bitnet.data.sources import Source
from bitnet.data.tokenizer import Tokenizer


@dataclass(frozen=True)
class ShardMaker:
    """Makes shards of a corpus in a folder; goes to worker processes as it is."""

    folder: Path
    sources: Mapping[str, Source]
    tokenizer: Tokenizer
    rules: ShardRules

    def __call__(self, job: ShardJob, report: Report) -> ShardRecord:
        """Make one shard and its record.

        Raises:
            DataError: the unit cannot be read, holds a broken record and the rule is to stop, or
                the disk is full.
        """
        with full_disk_explained(self.folder), ExitStack() as stack:
            stem = self.folder / shard_stem(job.source, job.unit)
            kind = token_format(self.tokenizer.vocab_size)
            sides = {
                name: stack.enter_context(SideWriter(stem.with_name(f"{stem.name}.{name}"), kind))
                for name in SIDES
            }
            source = self.sources[job.source]
            record = Shard(job, source, self.tokenizer, self.rules, sides, report).make()
            flush_folder(stem.parent)
            write_json(stem.with_name(f"{stem.name}.json"), record.as_dict())
            return record
