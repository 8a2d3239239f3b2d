"""An opened folder of prepared tokens: what it holds, and what may be done with it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.prepared.layout import HELD_OUT, TOKENS, mapped, part_name, token_format
from bitnet.data.prepared.manifest import Manifest, totals
from bitnet.data.prepared.shard_record import ShardRecord
from bitnet.data.tokenizer import Tokenizer


@dataclass(frozen=True)
class PreparedSource:
    """One subset.

    Attributes:
        name: its name.
        shards: its shards in the order of their units.
        tokens, documents, bytes: what trains; bytes are those of the text as UTF-8.
        held_out_tokens, held_out_documents: what never does.
        empty, broken: records that were left out.
        dropped: documents that a quality step left out, by reason.
    """

    name: str
    shards: tuple[ShardRecord, ...]
    tokens: int
    documents: int
    bytes: int
    held_out_tokens: int
    held_out_documents: int
    empty: int
    broken: int
    dropped: dict[str, int]

    @classmethod
    def of(cls, name: str, shards: Sequence[ShardRecord]) -> PreparedSource:
        """Add up the shards of a source."""
        sums = totals(shards)
        del sums["held_out_bytes"], sums["stored_bytes"]
        return cls(name, tuple(shards), **sums)


class PreparedSet:
    """The sources of a folder; it holds no open file and can be sent to other processes.

    Attributes:
        folder: where the shards are.
        manifest: all that is known about them.
        sources: by name, in alphabetical order.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Take the folder as it is; `PreparedCorpus.open_set` checks it first."""
        self.folder = folder
        self.manifest = manifest
        self.sources = {
            name: PreparedSource.of(name, manifest.shards[name]) for name in sorted(manifest.shards)
        }

    @property
    def token_format(self) -> np.dtype[np.unsignedinteger]:
        """How a token is stored."""
        return token_format(self.manifest.tokenizer.vocab_size)

    def source(self, name: str) -> PreparedSource:
        """A source by name.

        Raises:
            DataError: there is none of that name.
        """
        if name not in self.sources:
            raise DataError(f"data.path: the source {describe_unknown(name, self.sources)}")
        return self.sources[name]

    def refuse_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Refuse to train on ids that would mean something else.

        Raises:
            DataError: another tokenizer made the tokens.
        """
        made = self.manifest.tokenizer
        if tokenizer.fingerprint != made.fingerprint:
            raise DataError(
                f"tokenizer: '{self.folder}' was prepared with '{made.name}' "
                f"({made.fingerprint[:12]}), not with '{tokenizer.name}' "
                f"({tokenizer.fingerprint[:12]}); set tokenizer={self.folder}, or prepare again"
            )

    def refuse_fraction(self, fraction: float) -> None:
        """Refuse a validation split that isn't the prepared one.

        Raises:
            DataError: another share of the documents was held out.
        """
        made = self.manifest.held_out_fraction
        if fraction != made:
            raise DataError(
                f"validation.fraction: '{self.folder}' was prepared with {made}, not {fraction}; "
                f"set validation.fraction={made}, or prepare again"
            )

    def held_out_ids(self, name: str, count: int) -> NDArray[np.int32]:
        """The first `count` held-out tokens of a source in file order, or all if there are fewer.

        Documents are followed by the end token. These are the tokens that a stream of the same
        corpus holds out.
        """
        found: list[NDArray[np.int32]] = []
        missing = count
        for shard in self.source(name).shards:
            if missing <= 0:
                break
            path = self.folder / part_name(name, shard.unit, HELD_OUT, TOKENS)
            found.append(mapped(path, self.token_format)[:missing].astype(np.int32))
            missing -= len(found[-1])
        return np.concatenate(found) if found else np.empty(0, np.int32)

    def fingerprint(self) -> dict[str, str]:
        """For each source its shards, tokens, and a digest of the checksums of its files."""
        return {name: _digest(source) for name, source in self.sources.items()}


def _digest(source: PreparedSource) -> str:
    listing = "\n".join(
        f"{name} {stored.checksum}" for shard in source.shards for name, stored in shard.files()
    )
    digest = hashlib.sha256(listing.encode()).hexdigest()[:16]
    return f"{len(source.shards)} shards, {source.tokens} tokens, {digest}"
