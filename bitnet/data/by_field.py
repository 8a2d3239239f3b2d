"""Corpora whose files hold several subsets at once: a field of each record says which one.

SlimPajama, the Pile and Dolma are stored so. Every source reads all shared files and keeps its own
records; that costs reading time, never exactness, and `bitnet prepare` pays it only once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from bitnet.data.records import Where
from bitnet.data.sources import Source, StoredFile


@dataclass
class FieldSubsets:
    """What a corpus needs to tell its subsets apart by a field.

    Attributes:
        text_field: key or column that holds the text of a document, dotted if it lies deeper.
        subset_field: field that names a record's subset, such as `meta.redpajama_set_name`; empty
            if each subset has files of its own.
        subset_values: for each source the value of that field.
        shared_files: patterns of the files that all these sources share; empty: all files.
    """

    text_field: str = "text"
    subset_field: str = ""
    subset_values: dict[str, str] = field(default_factory=dict)
    shared_files: list[str] = field(default_factory=list)

    def field_problems(self, subsets: Collection[str]) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = []
        if not self.text_field:
            found.append("text_field: is empty; the usual name is 'text'")
        if self.subset_field and not self.subset_values:
            found.append(
                f"subset_values: is empty; name a source for each value of '{self.subset_field}' "
                "that is to be read"
            )
        if self.subset_field and subsets:
            found.append("subsets: cannot be used with subset_field, whose sources share all files")
        if not self.subset_field:
            found += [
                f"{name}: is set, but subset_field is empty"
                for name in ("subset_values", "shared_files")
                if getattr(self, name)
            ]
        twice = sorted({v for v in self.subset_values.values() if self._names_of(v) > 1})
        found += [f"subset_values: two sources have the value '{value}'" for value in twice]
        return found

    def _names_of(self, value: str) -> int:
        return list(self.subset_values.values()).count(value)

    def field_sources(
        self, files: tuple[StoredFile, ...], names: Collection[str] | None
    ) -> dict[str, Source]:
        """The sources that share `files`, in alphabetical order; `names`: those only."""
        return {
            name: Source(name, files, self.text_field, Where(self.subset_field, value))
            for name, value in sorted(self.subset_values.items())
            if names is None or name in names
        }
