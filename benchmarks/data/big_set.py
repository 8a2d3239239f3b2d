"""A prepared folder as large as RedPajama on paper: shards with holes instead of tokens.

Going on at a late sample must not depend on how much there is. A set of a trillion tokens does not
fit here, but a file system can hold files of that length that occupy nothing; names, sizes, records
and manifest are those of a real set.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from bitnet.data.prepared.checking import remember
from bitnet.data.prepared.layout import TOKENS, TRAIN, part_name, token_format
from bitnet.data.prepared.manifest import Manifest
from bitnet.data.prepared.shard_record import ShardRecord


def blow_up(small: Path, big: Path, shards: int, tokens: int) -> Manifest:
    """Make a set of so many shards of so many tokens each, dealt to the sources of a small set."""
    manifest = Manifest.read(small)
    big.mkdir(parents=True)
    for file in small.glob("*.json"):
        shutil.copy(file, big)
    each = shards // len(manifest.shards)
    item = token_format(manifest.tokenizer.vocab_size).itemsize
    grown = {
        name: [_grow(small, big, first[0], unit, tokens, item) for unit in range(each)]
        for name, first in manifest.shards.items()
    }
    whole = replace(manifest, shards=grown)
    whole.write(big)
    remember(big, whole)
    return whole


def _grow(
    small: Path, big: Path, shard: ShardRecord, unit: int, tokens: int, item: int
) -> ShardRecord:
    """Copy a shard under another number, its training tokens drawn out to `tokens`."""
    grown = replace(shard, unit=unit)
    hollow = part_name(shard.source, unit, TRAIN, TOKENS)
    for (old, _), (new, _) in zip(shard.files(), grown.files(), strict=True):
        (big / new).parent.mkdir(exist_ok=True)
        if new == hollow:
            (big / new).touch()
        else:
            shutil.copy(small / old, big / new)
    os.truncate(big / hollow, tokens * item)
    stored = replace(shard.train.files[TOKENS], size=tokens * item)
    train = replace(shard.train, tokens=tokens, files={**shard.train.files, TOKENS: stored})
    return replace(grown, train=train)
