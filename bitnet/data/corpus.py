"""Where documents come from: a corpus is a set of named sources.

A corpus specification is plain data that a config can fill in; `open()` looks at what is really
there and refuses what cannot be trained on, before any model is built.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from bitnet.data.by_field import FieldSubsets
from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.readers import SUFFIXES, suffix_of
from bitnet.data.sources import Source, StoredFile


@dataclass
class CorpusSpec:
    """What every corpus has.

    Attributes:
        name: name shown in reports.
        default_tokenizer: tokenizer to use when the config names none.
        description: what it is, in a sentence.
        license: terms of its documents.
        homepage: where it is described.
        fields: schema of a record: field (dotted if nested) to what it holds.
        traps: what to know before using it.
        published_tokens: tokens of each source as its makers count them, where they do; plans
            derive passes over the data from it.
    """

    name: str = ""
    default_tokenizer: str = "pocket"
    description: str = ""
    license: str = ""
    homepage: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    traps: list[str] = field(default_factory=list)
    published_tokens: dict[str, float] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        return []

    def open(self, names: Collection[str] | None = None) -> dict[str, Source]:
        """Find the corpus and return its sources by name, in alphabetical order.

        Args:
            names: the sources that will be read; a corpus may leave out others. `None`: all.
        """
        raise DataError(f"the corpus '{self.name}' does not say what kind of corpus it is")

    def known_tokens(self) -> dict[str, float]:
        """Tokens of each source, as far as they are known without opening the corpus."""
        return dict(self.published_tokens)

    def notes(self) -> list[str]:
        """What must be said aloud about the corpus, such as a subset that stands in for another."""
        return []

    def size_of(self, source: Source) -> float:
        """Tokens of a source as published, else its stored bytes, 0 if nobody knows."""
        if self.published_tokens:
            return self.published_tokens.get(source.name, 0.0)
        if source.where is not None:
            return 0.0  # its files belong to other sources too
        return float(source.size)


def refuse_unknown(names: Collection[str] | None, available: Collection[str]) -> None:
    """Raise if a mix names a source that the corpus does not have, before anything is fetched.

    Raises:
        DataError: there is no such source; the nearest name is said.
    """
    for name in names or ():
        if name not in available:
            raise DataError(f"mix: {describe_unknown(name, sorted(available))}")


@dataclass
class LocalCorpus(FieldSubsets, CorpusSpec):
    """Files on this machine: one file or one folder for each subset, or told apart by a field.

    Attributes:
        root: folder that holds the subsets.
        subsets: file, folder or glob pattern of each subset, relative to `root`. If empty, every
            readable file and every folder in `root` is a subset of that name.
    """

    name: str = "local"
    root: str = ""
    subsets: dict[str, str] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = []
        if not self.root:
            found.append("root: is empty; name the folder that holds the subsets")
        return found + self.field_problems(self.subsets)

    def open(self, names: Collection[str] | None = None) -> dict[str, Source]:
        """Find the subsets under `root`.

        Raises:
            DataError: the folder, a subset, or a readable file in it is missing.
        """
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise DataError(f"data.root: there is no folder '{self.root}'")
        if self.subset_field:
            patterns = self.shared_files or ["."]
            found = {f"shared_files[{n}]": pattern for n, pattern in enumerate(patterns)}
            files = {file for at, each in found.items() for file in _files(root, at, each)}
            return self.field_sources(tuple(sorted(files, key=lambda file: file.name)), names)
        found = self.subsets or discover_subsets(root)
        if not found:
            raise DataError(
                f"data.root: '{self.root}' holds no subset; readable are {', '.join(SUFFIXES)}"
            )
        return {
            name: Source(name, _files(root, f"subsets.{name}", found[name]), self.text_field)
            for name in sorted(found)
        }


def _files(root: Path, setting: str, pattern: str) -> tuple[StoredFile, ...]:
    """The files of a pattern, under names that are the same on every machine."""
    paths = subset_files(root, pattern)
    if not paths:
        raise DataError(
            f"data.{setting}: nothing readable at "
            f"{describe_unknown(pattern, sorted(entry.name for entry in root.iterdir()))}"
        )
    return tuple(
        StoredFile(path.relative_to(root).as_posix(), str(path), path.stat().st_size)
        for path in paths
    )


def discover_subsets(root: Path) -> dict[str, str]:
    """Name the readable files and folders directly under `root` after themselves."""
    found: dict[str, str] = {}
    for entry in sorted(root.iterdir()):
        if entry.name.startswith(".") or not subset_files(root, entry.name):
            continue
        name = entry.name if entry.is_dir() else entry.name[: -len(suffix_of(entry.name))]
        if name in found:
            raise DataError(
                f"data.root: '{found[name]}' and '{entry.name}' would both be the subset "
                f"'{name}'; say which in data.subsets"
            )
        found[name] = entry.name
    return found


def subset_files(root: Path, pattern: str) -> list[Path]:
    """Readable files of one subset in a fixed order: a file, a folder (recursive), or a glob."""
    path = root / pattern
    if path.is_dir():
        candidates = [file for file in path.rglob("*") if not _hidden(file.relative_to(path))]
    elif path.is_file():
        candidates = [path]
    else:
        candidates = list(root.glob(pattern))
    readable = {file for file in candidates if file.is_file() and suffix_of(file.name)}
    return sorted(readable, key=lambda file: file.relative_to(root).as_posix())


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
