"""A corpus that is computed instead of read: document *n* is a pure function of the key and *n*.

Nothing is stored, so there is nothing to download or to damage; and since records are asked for by
number, streams, workers, held-out documents and exact resume work as they do for files.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bitnet.data.corpus import CorpusSpec
from bitnet.data.errors import describe_unknown
from bitnet.data.generated.tasks import TASKS
from bitnet.data.keyed import keyed_bits
from bitnet.data.records import Record, Selection, Unit
from bitnet.data.sources import Source, StoredFile

log = logging.getLogger(__name__)

_EVERYTHING = Selection()


@dataclass
class GeneratedCorpus(CorpusSpec):
    """One source of generated documents, named after its task.

    Attributes:
        task: ``arithmetic`` or ``tictactoe``.
        documents: number of documents; training longer than these repeats them.
        records_per_document: expressions or games of a document. With hundreds, the end-of-document
            token costs next to nothing.
        key: another key, another corpus.
    """

    name: str = "generated"
    default_tokenizer: str = "arithmetic"
    task: str = "arithmetic"
    documents: int = 4096
    records_per_document: int = 512
    key: int = 0

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = [] if self.task in TASKS else [f"task: {describe_unknown(self.task, TASKS)}"]
        for field in ("documents", "records_per_document"):
            if getattr(self, field) < 1:
                found.append(f"{field}: {getattr(self, field)} must be at least 1")
        return found

    def open(self, names: Collection[str] | None = None) -> dict[str, Source]:
        """The one source; nothing is computed before it is read."""
        task = TASKS[self.task]
        log.info("%s: no model can go below %.4f nats a character", self.task, task.floor)
        name = f"{self.task}-key{self.key}-{self.documents}x{self.records_per_document}"
        size = round(self.documents * self.records_per_document * task.characters)
        source = GeneratedSource(
            name=self.task,
            files=(StoredFile(name, location="generated", size=size),),
            key=self.key,
            documents=self.documents,
            records_per_document=self.records_per_document,
        )
        return {self.task: source}


@dataclass(frozen=True, slots=True)
class GeneratedSource(Source):
    """The documents of a task, made when they are asked for; one file that does not exist."""

    key: int = 0
    documents: int = 0
    records_per_document: int = 0

    def read(self, unit: Unit, selection: Selection = _EVERYTHING) -> Iterator[Record]:
        """Yield the selected documents."""
        size = self.files[unit.file].size
        for number in range(selection.first, self.documents):
            if selection.wants(number):
                consumed = size * (number + 1) // self.documents
                yield Record(number, self.document(number), "", consumed)

    def units(self, range_bytes: int) -> tuple[Unit, ...]:
        """The one file, whole: nothing is stored that could be cut."""
        return (Unit(0),)

    def shares(self, unit: Unit) -> bool:
        """No: computing a document costs nothing but for those who want it."""
        return False

    def document(self, number: int) -> str:
        """The text of document ``number``."""
        task = TASKS[self.name]
        bits = keyed_bits(self.records_per_document, "generated", self.name, self.key, number)
        # Of 2**64 values, the remainder favours none by more than one part in 10**13.
        return "".join(task.record(int(outcome)) for outcome in bits % task.outcomes)
