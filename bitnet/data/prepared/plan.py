"""The settings of a folder, written before its first shard, so that shards are never mixed.

A restart compares; what changes only how the work is done (workers, what happens at a broken
record) is not in the plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from bitnet.data.errors import DataError
from bitnet.data.prepared.files import read_json, write_json
from bitnet.data.prepared.jobs import ShardRules
from bitnet.data.prepared.layout import FORMAT, PLAN
from bitnet.data.sources import Source
from bitnet.data.tokenizer import Tokenizer

Plan = dict[str, object]
"""A flat dict; the keys are names of settings."""


def plan_of(
    sources: Mapping[str, Source],
    tokenizer: Tokenizer,
    rules: ShardRules,
    range_bytes: int,
    quality: Mapping[str, object],
) -> Plan:
    """Everything that the content of the shards depends on."""
    plan: Plan = {
        "format": FORMAT,
        "tokenizer": tokenizer.fingerprint,
        "validation.fraction": rules.held_out_fraction,
        "shuffle": rules.shuffle,
        "range_megabytes": range_bytes / 1e6,
    }
    plan.update({f"quality.{key}": value for key, value in sorted(quality.items())})
    plan.update({f"data.{name}": input_of(source) for name, source in sorted(sources.items())})
    return plan


def input_of(source: Source) -> str:
    """Number, bytes and a digest of a source's files and of which of their records it takes."""
    listing = "\n".join(f"{file.name} {file.size}" for file in source.files)
    where = "" if source.where is None else f"{source.where.path}={source.where.value}"
    digest = hashlib.sha256(f"{source.text_field}\n{where}\n{listing}".encode()).hexdigest()[:16]
    return f"{len(source.files)} files, {source.size} bytes, {digest}"


def settle_plan(folder: Path, plan: Plan) -> None:
    """Write the plan of a new folder, or hold an old folder's against it.

    Raises:
        DataError: the folder was begun with other settings or another input, or holds other things.
    """
    path = folder / PLAN
    if not path.exists():
        _refuse_foreign(folder)
        write_json(path, plan)
        return
    saved = read_json(path)
    changed = [
        f"{key} was {saved.get(key, 'absent')}, is {plan.get(key, 'absent')}"
        for key in sorted({*saved, *plan})
        if saved.get(key) != plan.get(key)
    ]
    if changed:
        raise DataError(
            f"output: '{folder}' was begun with other settings: {'; '.join(changed)}; give those, "
            "or another folder"
        )


def _refuse_foreign(folder: Path) -> None:
    found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if found:
        raise DataError(
            f"output: '{folder}' holds other things ('{found[0]}') and was not made by prepare; "
            "name a new folder"
        )
