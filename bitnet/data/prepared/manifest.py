"""The manifest: what a finished folder holds, and where it comes from. Written last.

It holds no time and no path of the machine, so that the same input and settings give the same
bytes, however often the work was interrupted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bitnet.data.errors import DataError
from bitnet.data.prepared.files import read_json, write_json
from bitnet.data.prepared.layout import FORMAT, MANIFEST
from bitnet.data.prepared.shard_record import ShardRecord

_MAKERS = ("tokenizers", "numpy", "zstandard", "pyarrow")


@dataclass(frozen=True)
class TokenizerRecord:
    """The tokenizer that made the tokens; its definition lies beside the manifest."""

    name: str
    fingerprint: str
    vocab_size: int
    eos_id: int
    file: str


@dataclass(frozen=True)
class Manifest:
    """A finished folder.

    Attributes:
        corpus: name of the corpus.
        license: its licence, as its makers state it.
        notes: what the corpus has said aloud (substitutes, for example).
        tokenizer: what made the tokens.
        held_out_fraction: share of the documents that never train.
        plan: settings and input (see `plan_of`).
        shards: by source, in the order of its units.
        versions: packages that made it.
    """

    corpus: str
    license: str
    notes: list[str]
    tokenizer: TokenizerRecord
    held_out_fraction: float
    plan: dict[str, object]
    shards: dict[str, list[ShardRecord]]
    versions: dict[str, str] = field(default_factory=lambda: made_with())

    def write(self, folder: Path) -> None:
        """Put the manifest into its folder, counts per source included for those who read it."""
        plain = {"format": FORMAT, **asdict(self)}
        del plain["shards"]
        plain["sources"] = {
            name: {**totals(shards), "shards": [shard.as_dict() for shard in shards]}
            for name, shards in self.shards.items()
        }
        write_json(folder / MANIFEST, plain)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a folder.

        Raises:
            DataError: there is none (yet), or it isn't one that this version understands.
        """
        path = folder / MANIFEST
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder")
        if not path.is_file():
            raise DataError(
                f"{folder}: has no {MANIFEST}: it was not made by bitnet prepare, or that has not "
                "finished (give its command again)"
            )
        plain = read_json(path)
        if plain.get("format") != FORMAT:
            raise DataError(
                f"{path}: is of format {plain.get('format')}; this version reads {FORMAT}: prepare "
                "the data again"
            )
        try:
            return _from_plain(plain)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: is not a manifest ({error!r})") from error


def _from_plain(plain: dict[str, Any]) -> Manifest:
    shards = {
        name: [ShardRecord.from_dict(shard) for shard in source["shards"]]
        for name, source in plain["sources"].items()
    }
    return Manifest(
        corpus=plain["corpus"],
        license=plain["license"],
        notes=list(plain["notes"]),
        tokenizer=TokenizerRecord(**plain["tokenizer"]),
        held_out_fraction=float(plain["held_out_fraction"]),
        plan=dict(plain["plan"]),
        shards=shards,
        versions=dict(plain["versions"]),
    )


def totals(shards: Sequence[ShardRecord]) -> dict[str, Any]:
    """Sums over the shards of one source."""
    dropped: Counter[str] = Counter()
    for shard in shards:
        dropped.update(shard.dropped)
    return {
        "documents": sum(shard.train.documents for shard in shards),
        "tokens": sum(shard.train.tokens for shard in shards),
        "bytes": sum(shard.train.bytes for shard in shards),
        "held_out_documents": sum(shard.held_out.documents for shard in shards),
        "held_out_tokens": sum(shard.held_out.tokens for shard in shards),
        "held_out_bytes": sum(shard.held_out.bytes for shard in shards),
        "empty": sum(shard.empty for shard in shards),
        "broken": sum(shard.broken for shard in shards),
        "dropped": dict(sorted(dropped.items())),
        "stored_bytes": sum(stored.size for shard in shards for _, stored in shard.files()),
    }


def made_with() -> dict[str, str]:
    """Versions of the packages that the content of the shards depends on."""
    return {package: version(package) for package in _MAKERS}
