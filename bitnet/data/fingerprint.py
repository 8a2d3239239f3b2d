"""What must not change between a run and its continuation, and how a change is told.

The keys are the names of the settings, so a refusal reads like the config that caused it. Whatever
changes speed only (workers, world size) is not here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from bitnet.data.errors import DataError
from bitnet.data.feed import FeedPlan
from bitnet.data.sources import Source
from bitnet.data.specs import ValidationSpec

Fingerprint = dict[str, int | float | str]


def fingerprint_of(plan: FeedPlan, validation: ValidationSpec) -> Fingerprint:
    """The settings and files that fix the sequence of samples, as a flat dict."""
    found: Fingerprint = {
        "seed": plan.seed,
        "sequence_length": plan.sequence_length,
        "micro_batch": plan.micro_batch,
        "tokenizer": plan.tokenizer.fingerprint,
        "stream.streams": plan.stream.streams,
        "stream.shuffle_megabytes": float(plan.stream.shuffle_megabytes),
        "validation.fraction": float(validation.fraction),
        "validation.tokens_per_source": validation.tokens_per_source,
    }
    for source, weight in zip(plan.sources, plan.weights, strict=True):
        found[f"weights.{source.name}"] = float(weight)
        found[f"data.{source.name}"] = describe_files(source)
    return found


def describe_files(source: Source) -> str:
    """Number, bytes and a digest of the names and sizes of a source's files."""
    listing = "\n".join(f"{file.name} {file.size}" for file in source.files)
    digest = hashlib.sha256(f"{source.text_field}\n{listing}".encode()).hexdigest()[:16]
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
