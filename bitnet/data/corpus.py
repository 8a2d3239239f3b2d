"""Where documents come from: a corpus is a set of named sources.

A corpus specification is plain data that a config can fill in; `open()` looks at what is really
there and refuses what cannot be trained on, before any model is built.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.readers import SUFFIXES, suffix_of
from bitnet.data.sources import Source, StoredFile


@dataclass
class CorpusSpec:
    """What every corpus has.

    Attributes:
        name: name shown in reports.
        default_tokenizer: tokenizer to use when the config names none.
        published_tokens: tokens of each source as its makers count them, where they do; plans
            derive passes over the data from it.
    """

    name: str = ""
    default_tokenizer: str = "pocket"
    published_tokens: dict[str, float] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        return []

    def open(self) -> dict[str, Source]:
        """Find the corpus and return its sources by name, in alphabetical order."""
        raise DataError(f"the corpus '{self.name}' does not say what kind of corpus it is")


@dataclass
class LocalCorpus(CorpusSpec):
    """Files on this machine, one file or one folder for each subset.

    Attributes:
        root: folder that holds the subsets.
        subsets: file, folder or glob pattern of each subset, relative to `root`. If empty, every
            readable file and every folder in `root` is a subset of that name.
        text_field: key or column that holds the text of a document.
    """

    name: str = "local"
    root: str = ""
    subsets: dict[str, str] = field(default_factory=dict)
    text_field: str = "text"

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = []
        if not self.root:
            found.append("root: is empty; name the folder that holds the subsets")
        if not self.text_field:
            found.append("text_field: is empty; the usual name is 'text'")
        return found

    def open(self) -> dict[str, Source]:
        """Find the subsets under `root`.

        Raises:
            DataError: the folder, a subset, or a readable file in it is missing.
        """
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise DataError(f"data.root: there is no folder '{self.root}'")
        found = self.subsets or discover_subsets(root)
        if not found:
            raise DataError(
                f"data.root: '{self.root}' holds no subset; readable are {', '.join(SUFFIXES)}"
            )
        return {name: self._source(root, name, found[name]) for name in sorted(found)}

    def _source(self, root: Path, name: str, pattern: str) -> Source:
        paths = subset_files(root, pattern)
        if not paths:
            raise DataError(
                f"data.subsets.{name}: nothing readable at "
                f"{describe_unknown(pattern, sorted(entry.name for entry in root.iterdir()))}"
            )
        files = tuple(
            StoredFile(path.relative_to(root).as_posix(), str(path), path.stat().st_size)
            for path in paths
        )
        return Source(name, files, self.text_field)


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
