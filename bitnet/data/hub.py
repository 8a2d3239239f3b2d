"""Corpora on the Hugging Face hub, in object storage, or anywhere on the web, read file by file.

Bytes come through `remote/` and go through the readers used for local files; no code of a
repository is ever run. No schema is inferred: metadata that changes its type within a subset
cannot end a run, and a cut connection cannot pass for the end of a file.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from bitnet.data.by_field import FieldSubsets
from bitnet.data.corpus import CorpusSpec, refuse_unknown
from bitnet.data.errors import DataError
from bitnet.data.readers import SUFFIXES, suffix_of
from bitnet.data.remote import NetworkSpec
from bitnet.data.sources import Source, StoredFile

_PATTERN_CHARACTERS = "*?["


@dataclass
class HubCorpus(FieldSubsets, CorpusSpec):
    """Files of a hub repository or of another remote folder, by subset.

    Attributes:
        repository: name of the data set on the hub, such as `allenai/c4`, or the address of a
            folder elsewhere, such as `s3://bucket/corpus`.
        revision: branch, tag or commit on the hub; only a commit makes a run repeatable.
        subsets: for each subset the patterns of its files in the repository (`data/*.jsonl.zst`),
            or full addresses of files elsewhere (`https://…`), with patterns where the server can
            list.
        reported: what users report about reaching it; said when it cannot be reached.
        network: how the files are read.
    """

    name: str = "hub"
    repository: str = ""
    revision: str = "main"
    reported: str = ""
    subsets: dict[str, list[str]] = field(default_factory=dict)
    network: NetworkSpec = field(default_factory=NetworkSpec)

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = self.field_problems(self.subsets)
        if not self.subsets and not self.subset_field:
            found.append("subsets: is empty; name the files of each subset")
        if self.subset_field and not self.shared_files:
            found.append("shared_files: is empty; name the files that the sources share")
        patterns = [each for found in self.subsets.values() for each in found]
        if not self.repository and any("://" not in each for each in patterns + self.shared_files):
            found.append("repository: is empty, but files in it are named")
        return found + [f"network.{line}" for line in self.network.problems()]

    def open(self, names: Collection[str] | None = None) -> dict[str, Source]:
        """Resolve the patterns of the sources that will be read.

        Raises:
            DataError: the repository cannot be reached, a pattern matches nothing, or what it
                matches is a list of addresses or of an unknown format.
        """
        refuse_unknown(names, {*self.subsets, *self.subset_values})
        if self.subset_field:
            return self.field_sources(self._files("shared_files", self.shared_files), names)
        return {
            name: Source(name, self._files(f"subsets.{name}", self.subsets[name]), self.text_field)
            for name in sorted(self.subsets)
            if names is None or name in names
        }

    def _files(self, setting: str, patterns: list[str]) -> tuple[StoredFile, ...]:
        """The files of some patterns, in the order of their names."""
        base = self.repository
        if "://" not in base:
            base = f"hf://datasets/{self.repository}@{self.revision}"
        found: dict[str, StoredFile] = {}
        for pattern in patterns:
            address = pattern if "://" in pattern else f"{base}/{pattern}"
            for file in self._matching(address, base, f"data.{setting}"):
                refuse_unusable(file, f"data.{setting}")
                found[file.location] = replace(file, network=self.network)
        if not found:
            raise DataError(f"data.{setting}: names no file")
        return tuple(sorted(found.values(), key=lambda file: file.name))

    def _matching(self, address: str, base: str, setting: str) -> list[StoredFile]:
        if "://" in address and not any(each in address for each in _PATTERN_CHARACTERS):
            return [StoredFile(_short(address, base), address)]
        try:
            files = list_files(address)
            lists = [] if files else list_files(f"{base}/urls/*.txt")
        except Exception as error:  # network, login and file system errors share no base class
            reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
            known = f"; {self.reported}" if self.reported else ""
            raise DataError(f"{setting}: '{address}': {reason}{known}") from error
        if lists:
            raise DataError(
                f"{setting}: '{address}' matches nothing; the repository holds only lists of web "
                f"addresses ({_short(lists[0][0], base)}, …), so it needs a listed corpus"
            )
        if not files:
            raise DataError(f"{setting}: '{address}' matches no file")
        return [StoredFile(_short(location, base), location, size) for location, size in files]


def list_files(pattern: str) -> list[tuple[str, int]]:
    """Addresses and sizes (0: unknown) of the files that a pattern matches, in order."""
    import fsspec  # slow to import, and local corpora need none of it

    system, path = fsspec.url_to_fs(pattern)
    found: dict[str, dict[str, Any]] = system.glob(path, detail=True)
    return sorted(
        (system.unstrip_protocol(name), int(info.get("size") or 0))
        for name, info in found.items()
        if info.get("type", "file") == "file"
    )


def _short(location: str, base: str) -> str:
    """A file's name in the folder `base`, or its address if it lies elsewhere."""
    path, folder = (each.partition("://")[2].strip("/") for each in (location, f"{base}/"))
    return path.removeprefix(f"{folder}/") if path.startswith(f"{folder}/") else location


def refuse_unusable(file: StoredFile, setting: str) -> None:
    """Refuse what is not documents without reading it.

    Raises:
        DataError: the file's format is unknown, or it is a list of addresses.
    """
    if not suffix_of(file.name):
        raise DataError(f"{setting}: '{file.name}' is not one of {', '.join(SUFFIXES)}")
    folders = file.name.split("/")[:-1]
    if file.name.endswith(".txt") and "urls" in folders:
        raise DataError(
            f"{setting}: '{file.name}' is a list of web addresses, not documents; name the files "
            "that it lists"
        )
