"""What must not change between a run and its continuation, and how a change is told.

The keys are the names of the settings, so a refusal reads like the config that caused it. Whatever
changes speed only (workers, world size) is not here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from bitnet.data.errors import DataError
from bitnet.data.feed import FeedPlan
from bitnet.data.mix import MixSpec
from bitnet.data.sources import Source

Fingerprint = dict[str, int | float | str]


FEED_VERSION = 2
"""Raised when the same settings begin to give other samples."""


def mix_fingerprint(mix: MixSpec) -> Fingerprint:
    """The weights by name, stage by stage, and the limits of passes."""
    found: Fingerprint = {f"mix.weights.{name}": float(w) for name, w in mix.weights.items()}
    for number, stage in enumerate(mix.stages):
        found[f"mix.stages[{number}].from_tokens"] = stage.from_tokens
        for name, weight in stage.weights.items():
            found[f"mix.stages[{number}].weights.{name}"] = float(weight)
    return found | {f"mix.max_epochs.{name}": n for name, n in mix.max_epochs.items()}


def stream_fingerprint(plan: FeedPlan) -> Fingerprint:
    """What fixes the samples of a stream besides mix, tokenizer and validation."""
    found: Fingerprint = {
        "feed": f"stream {FEED_VERSION}",
        "micro_batch": plan.micro_batch,
        "stream.streams": plan.stream.streams,
        "stream.shuffle_megabytes": float(plan.stream.shuffle_megabytes),
    }
    return found | {f"data.{source.name}": describe_files(source) for source in plan.sources}


def describe_files(source: Source) -> str:
    """Number, bytes and a digest of the names and sizes of a source's files."""
    listing = "\n".join(f"{file.name} {file.size}" for file in source.files)
    what = source.text_field if source.where is None else f"{source.text_field} {source.where}"
    digest = hashlib.sha256(f"{what}\n{listing}".encode()).hexdigest()[:16]
    return f"{len(source.files)} files, {source.size} bytes, {digest}"


def refuse_changes(saved: Mapping[str, object], now: Mapping[str, object]) -> None:
    """Raise if two fingerprints differ, naming each difference.

    Raises:
        DataError: something changed.
    """
    changed = [
        f"{key} was {saved.get(key, 'absent')}, is {now.get(key, 'absent')}"
        for key in sorted({*saved, *now})
        if saved.get(key) != now.get(key)
    ]
    if changed:
        raise DataError(
            "the data is not that of the run to resume, so the samples would differ: "
            + "; ".join(changed)
        )
