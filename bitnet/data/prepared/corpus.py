"""A prepared folder as a corpus: `data=prepared data.path=DIR`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bitnet.data.collector import collector_paused
from bitnet.data.corpus import CorpusSpec
from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.prepared.checking import MODES, check_folder
from bitnet.data.prepared.manifest import Manifest
from bitnet.data.prepared.shards import PreparedSet
from bitnet.data.sources import Source


@dataclass
class PreparedCorpus(CorpusSpec):
    """Token shards that `bitnet prepare` made.

    Attributes:
        path: their folder.
        verify: which files are hashed when it is opened: "changed" since they last were, "always"
            all, "never" any. Sizes are compared in every case.
    """

    name: str = "prepared"
    path: str = ""
    verify: str = "changed"

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = []
        if not self.path:
            found.append("path: is empty; name the folder that bitnet prepare made")
        if self.verify not in MODES:
            found.append(f"verify: {describe_unknown(self.verify, MODES)}")
        return found

    def open(self, names: Collection[str] | None = None) -> dict[str, Source]:
        """There are no documents to open.

        Raises:
            DataError: always.
        """
        raise DataError(
            f"data: '{self.path}' holds prepared tokens, not documents; name the corpus that it "
            "was made from"
        )

    def open_set(self) -> PreparedSet:
        """Check the folder and open it.

        Raises:
            DataError: it is unfinished, of another format, or a file is missing or was changed.
        """
        folder = Path(self.path).expanduser()
        with collector_paused():
            manifest = Manifest.read(folder)
            check_folder(folder, manifest, self.verify)
            return PreparedSet(folder, manifest)

    def known_tokens(self) -> dict[str, float]:
        """Training tokens of each source, counted."""
        folder = Path(self.path).expanduser()
        sources = PreparedSet(folder, Manifest.read(folder)).sources
        return {name: float(source.tokens) for name, source in sources.items()}

    def notes(self) -> list[str]:
        """What the corpus said when it was prepared."""
        return list(Manifest.read(Path(self.path).expanduser()).notes)
