"""What a folder of results was made from, as a flat dict, and how another is told."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bitnet.data.errors import DataError
from bitnet.data.fingerprint import describe_files
from bitnet.data.quality.spec import QualitySpec
from bitnet.data.sources import Source

Identity = dict[str, object]

RULES_VERSION = 1
"""Raised when a rule begins to judge differently."""


def corpus_identity(sources: Mapping[str, Source], range_bytes: int) -> Identity:
    """The files, and how they are cut into units."""
    files: Identity = {f"data.{name}": describe_files(source) for name, source in sources.items()}
    return files | {"range_bytes": range_bytes}


def quality_identity(
    spec: QualitySpec, sources: Mapping[str, Source], range_bytes: int, held_out_fraction: float
) -> Identity:
    """Everything that decides which documents are dropped."""
    found = corpus_identity(sources, range_bytes)
    found |= {"rules": RULES_VERSION, "validation.fraction": held_out_fraction}
    if spec.near.enabled:
        from bitnet.data.quality.near import algorithm

        found["quality.near.algorithm"] = algorithm()
    for name, step in spec.steps():
        settings = asdict(step) if step.enabled else {"enabled": False}
        found |= {f"quality.{name}.{key}": _plain(value) for key, value in settings.items()}
    for path in (*spec.decontaminate.benchmarks, spec.c4.bad_words):
        file = Path(path).expanduser()
        if path and file.is_file():
            digest = hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()
            found[f"quality.file.{file.name}"] = digest
    return found


def refuse_other(saved: Mapping[str, object], now: Mapping[str, object], what: str) -> None:
    """Raise if two identities differ, naming each difference.

    Raises:
        DataError: begins with `what`.
    """
    changed = [
        f"{key} was {saved.get(key, 'absent')}, is {now.get(key, 'absent')}"
        for key in sorted({*saved, *now})
        if saved.get(key) != now.get(key)
    ]
    if changed:
        raise DataError(f"{what} of another making: {'; '.join(changed)}; name another folder")


def _plain(value: object) -> object:
    """As JSON gives it back."""
    if isinstance(value, dict):
        return {str(key): each for key, each in value.items()}
    return list(value) if isinstance(value, tuple) else value
