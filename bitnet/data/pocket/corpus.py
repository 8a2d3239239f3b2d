"""The pocket corpus as the rest of the data room sees it: sources and a tokenizer file."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bitnet.data.corpus import CorpusSpec
from bitnet.data.errors import DataError
from bitnet.data.pocket.bpe import train_bpe
from bitnet.data.pocket.cache import build_file, build_folder, cache_folder, environment_key
from bitnet.data.pocket.harvest import HARVEST_VERSION, MANIFEST, SUBSETS, harvest
from bitnet.data.sources import Source, StoredFile

log = logging.getLogger(__name__)

DEFAULT_MEGABYTES = 3.0


@dataclass
class PocketCorpus(CorpusSpec):
    """Seven subsets harvested from this Python installation on first use.

    Attributes:
        megabytes_per_subset: most text that a subset holds, in megabytes.
        cache_dir: where harvests are kept; by default `$BITNET_CACHE`, else
            `$XDG_CACHE_HOME/bitnet`, else `~/.cache/bitnet`.
    """

    name: str = "pocket"
    default_tokenizer: str = "pocket"
    megabytes_per_subset: float = DEFAULT_MEGABYTES
    cache_dir: str | None = None

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        if self.megabytes_per_subset <= 0:
            return [f"megabytes_per_subset: {self.megabytes_per_subset} is not positive"]
        return []

    def open(self, names: Collection[str] | None = None) -> dict[str, Source]:
        """Harvest if that has not been done in this environment, and return the sources."""
        folder = _harvested(self.cache_dir, self.megabytes_per_subset)
        manifest = _manifest(folder)
        _announce(manifest["fingerprint"])
        return {name: _source(folder, name, manifest) for name in sorted(SUBSETS)}


def pocket_tokenizer_file(cache_dir: str | None = None) -> Path:
    """The `tokenizer.json` trained on the pocket corpus of the default size, made if missing."""
    folder = _harvested(cache_dir, DEFAULT_MEGABYTES)
    file = folder / "tokenizer.json"
    build_file(file, lambda path: train_bpe(folder, SUBSETS, path))
    return file


def _harvested(cache_dir: str | None, megabytes: float) -> Path:
    key = environment_key(HARVEST_VERSION, megabytes)
    folder = cache_folder(cache_dir) / f"pocket-{key}"
    build_folder(folder, lambda unfinished: harvest(unfinished, int(megabytes * 1e6)))
    return folder


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"the pocket corpus in '{folder}' is damaged; delete that folder"
        ) from error
    return manifest


def _source(folder: Path, name: str, manifest: dict[str, Any]) -> Source:
    path = folder / f"{name}.jsonl.zst"
    expected = manifest["subsets"][name]["stored_bytes"]
    if not path.is_file() or path.stat().st_size != expected:
        raise _damaged(folder)
    shown = f"pocket-{manifest['fingerprint'][:12]}/{path.name}"
    return Source(name, (StoredFile(shown, str(path), expected),))


def _damaged(folder: Path) -> DataError:
    return DataError(f"the pocket corpus in '{folder}' is damaged; delete that folder")


@cache
def _announce(fingerprint: str) -> None:
    """Say once a process what this corpus is not."""
    log.warning(
        "the pocket corpus (%s) is text from this Python installation: a stand-in for smoke runs, "
        "not training data",
        fingerprint[:12],
    )
