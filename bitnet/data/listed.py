"""Corpora reached by lists of addresses, as RedPajama and Dolma are published.

Their repositories on the hub hold nothing but such lists; read as documents, the lists would train
a model on web addresses. Here a list is what it is, and a subset is a pattern over its lines. A
subset that its makers have taken back is refused, or replaced by another one and said aloud: a mix
must never lose a source in silence.
"""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from bitnet.data.address_lists import read_addresses
from bitnet.data.by_field import FieldSubsets
from bitnet.data.corpus import CorpusSpec, refuse_unknown
from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.hub import refuse_unusable
from bitnet.data.remote import NetworkSpec
from bitnet.data.sources import Source, StoredFile

log = logging.getLogger(__name__)


@dataclass
class Substitute:
    """What stands in for a subset that is gone.

    Attributes:
        label: what it is, for the log and the record of the run.
        lists: lists of its addresses, like those of the corpus.
        address: what a line of the lists stands for, like that of the corpus.
        files: patterns of its files over the addresses.
        text_field: key or column that holds the text of a document.
    """

    label: str = ""
    lists: list[str] = field(default_factory=list)
    address: str = "{}"
    files: list[str] = field(default_factory=lambda: ["*"])
    text_field: str = "text"


@dataclass
class ListedCorpus(FieldSubsets, CorpusSpec):
    """Files named by lists, by subset.

    Attributes:
        lists: places of files with one address a line: paths, `https://…`, `hf://…`.
        address: what a line stands for; `{}` is the line, so that lists of tags can be used.
        subsets: for each subset the patterns of its files over the addresses (`*/arxiv/*`).
        withdrawn: for each subset that is no longer there, why.
        substitutes: for each of these what is read in its place; without one it is refused.
        network: how lists and files are read.
    """

    name: str = "listed"
    lists: list[str] = field(default_factory=list)
    address: str = "{}"
    subsets: dict[str, list[str]] = field(default_factory=dict)
    withdrawn: dict[str, str] = field(default_factory=dict)
    substitutes: dict[str, Substitute] = field(default_factory=dict)
    network: NetworkSpec = field(default_factory=NetworkSpec)

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = self.field_problems(self.subsets)
        if not self.subsets and not self.subset_field:
            found.append("subsets: is empty; name the files of each subset")
        places = {"": (self.lists, self.address)}
        places |= {f"substitutes.{n}.": (s.lists, s.address) for n, s in self.substitutes.items()}
        for at, (lists, address) in places.items():
            if not lists:
                found.append(f"{at}lists: is empty; name a file with one address a line")
            if "{}" not in address:
                found.append(f"{at}address: '{address}' has no {{}} for the lines of the lists")
        for name in self.substitutes:
            if name not in self.withdrawn:
                found.append(f"substitutes: {describe_unknown(name, self.withdrawn)}")
        for name in sorted({*self.withdrawn} & {*self.subsets}):
            found.append(f"subsets: '{name}' is withdrawn; take it out of one of the two")
        return found + [f"network.{line}" for line in self.network.problems()]

    def notes(self) -> list[str]:
        """Which subsets are not what their names say."""
        return [self._note(name) for name in sorted(self.substitutes)]

    def open(self, names: Collection[str] | None = None) -> dict[str, Source]:
        """Read the lists and find the files of the sources that will be read.

        Raises:
            DataError: a list cannot be read, a pattern matches nothing, or a subset was withdrawn
                and nothing stands in for it.
        """
        available = {*self.subsets, *self.subset_values, *self.withdrawn}
        refuse_unknown(names, available)
        wanted = (
            available - ({*self.withdrawn} - {*self.substitutes}) if names is None else {*names}
        )
        for name in sorted(wanted & {*self.withdrawn}):
            self._refuse_without_substitute(name)
        for name in sorted(wanted & {*self.substitutes}):
            _say_once(self._note(name))
        if self.subset_field:
            files = self._files(
                self.lists, self.address, self.shared_files or ["*"], "shared_files"
            )
            return self.field_sources(files, wanted)
        return {name: self._source(name) for name in sorted(wanted)}

    def _note(self, name: str) -> str:
        other = self.substitutes[name]
        what = other.label or ", ".join(other.lists)
        return f"{name}: {what} stands in for it; {self.withdrawn.get(name, 'it is gone')}"

    def _refuse_without_substitute(self, name: str) -> None:
        if name not in self.substitutes:
            raise DataError(
                f"data.subsets.{name}: {self.withdrawn[name]}; say in data.substitutes.{name} what "
                f"is to stand in for it, or take a mix that does not name '{name}'"
            )

    def _source(self, name: str) -> Source:
        if name in self.substitutes:
            other = self.substitutes[name]
            at = f"substitutes.{name}.files"
            files = self._files(other.lists, other.address, other.files, at)
            return Source(name, files, other.text_field)
        files = self._files(self.lists, self.address, self.subsets[name], f"subsets.{name}")
        return Source(name, files, self.text_field)

    def _files(
        self, lists: list[str], address: str, patterns: list[str], setting: str
    ) -> tuple[StoredFile, ...]:
        """The files whose addresses match, sorted; names leave out what all addresses share."""
        addresses = read_addresses(lists, address, self.network)
        matched: set[str] = set()
        for pattern in patterns:
            found = [each for each in addresses if fnmatchcase(each, pattern)]
            if not found:
                raise DataError(_no_match(pattern, addresses, f"data.{setting}"))
            matched.update(found)
        shared = posixpath.commonprefix(addresses).rpartition("/")[0] + "/"
        files = tuple(
            StoredFile(each.removeprefix(shared), each, _local_size(each), self.network)
            for each in sorted(matched)
        )
        for file in files:
            refuse_unusable(file, f"data.{setting}")
        return files


def _local_size(address: str) -> int:
    """Bytes of a file on this machine; 0 for remote ones, which are asked when it matters."""
    path = Path(address)
    return path.stat().st_size if "://" not in address and path.is_file() else 0


@cache
def _say_once(line: str) -> None:
    """Warn, but not again for every time that the corpus is opened in this process."""
    log.warning("%s", line)


def _no_match(pattern: str, addresses: list[str], setting: str) -> str:
    folders = {f"*/{each.split('/')[-2]}/*" for each in addresses if "/" in each}
    described = describe_unknown(pattern, sorted(folders)[:20])
    return f"{setting}: no address of {len(addresses):,} matches: {described}"
