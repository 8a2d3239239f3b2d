"""Corpora on the Hugging Face hub, or anywhere on the web, streamed file by file.

Bytes come through the streaming opener of `datasets` (which logs in, and retries when the
connection drops) and go through the readers used for local files. No schema is inferred: metadata
that changes its type within a subset cannot end a run, and a cut connection cannot pass for
the end of a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bitnet.data.corpus import CorpusSpec
from bitnet.data.errors import DataError
from bitnet.data.readers import SUFFIXES, suffix_of
from bitnet.data.sources import Source, StoredFile


@dataclass
class HubCorpus(CorpusSpec):
    """Files of a hub repository, by subset.

    Attributes:
        repository: name of the data set on the hub, such as `allenai/c4`.
        revision: branch, tag or commit; only a commit makes a run repeatable.
        subsets: for each subset the patterns of its files in the repository (`data/*.jsonl.zst`),
            or full addresses of files elsewhere (`https://…`).
        text_field: key or column that holds the text of a document.
    """

    name: str = "hub"
    repository: str = ""
    revision: str = "main"
    subsets: dict[str, list[str]] = field(default_factory=dict)
    text_field: str = "text"

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = []
        if not self.subsets:
            found.append("subsets: is empty; name the files of each subset")
        patterns = [pattern for each in self.subsets.values() for pattern in each]
        if not self.repository and any("://" not in pattern for pattern in patterns):
            found.append("repository: is empty, but subsets name files in it")
        if not self.text_field:
            found.append("text_field: is empty; the usual name is 'text'")
        return found

    def open(self) -> dict[str, Source]:
        """Resolve the patterns.

        Raises:
            DataError: the repository cannot be reached, a pattern matches nothing, or what it
                matches is a list of addresses or of an unknown format.
        """
        return {name: self._source(name) for name in sorted(self.subsets)}

    def _source(self, name: str) -> Source:
        base = f"hf://datasets/{self.repository}@{self.revision}"
        locations = [
            location
            for pattern in self.subsets[name]
            for location in _resolve(pattern, base, f"data.subsets.{name}")
        ]
        unique = sorted(set(locations))
        if not unique:
            raise DataError(f"data.subsets.{name}: names no file")
        files = tuple(StoredFile(_short(place, base), place) for place in unique)
        for file in files:
            _refuse_unusable(file, f"data.subsets.{name}")
        return Source(name, files, self.text_field)


def _resolve(pattern: str, base: str, setting: str) -> list[str]:
    """Addresses of the files that a pattern stands for; a full address stands for itself."""
    if "://" in pattern and "*" not in pattern:
        return [pattern]
    from datasets.data_files import resolve_pattern  # slow to import, and rarely needed

    try:
        return list(resolve_pattern(pattern, base_path=base))
    except Exception as error:  # network, login and file system errors share no base class
        reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{setting}: '{pattern}' in {base}: {reason}") from error


def _short(location: str, base: str) -> str:
    return location.removeprefix(base + "/")


def _refuse_unusable(file: StoredFile, setting: str) -> None:
    """Refuse what is not documents without reading it."""
    if not suffix_of(file.name):
        raise DataError(f"{setting}: '{file.name}' is not one of {', '.join(SUFFIXES)}")
    folders = file.name.split("/")[:-1]
    if file.name.endswith(".txt") and "urls" in folders:
        raise DataError(
            f"{setting}: '{file.name}' is a list of web addresses, not documents; name the files "
            "that it lists"
        )
