"""Reads one unit once and takes from every document what any enabled step will need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from bitnet.data.documents import Kind, judge
from bitnet.data.quality.c4 import c4_rule
from bitnet.data.quality.decontaminate import BenchmarkIndex, build_index
from bitnet.data.quality.examined import Examined
from bitnet.data.quality.gopher import gopher_fault
from bitnet.data.quality.language import language_rule
from bitnet.data.quality.near import shingles
from bitnet.data.quality.spec import QualitySpec
from bitnet.data.quality.table import Document, Table
from bitnet.data.quality.words import word_hashes, words_of
from bitnet.data.records import Record, Unit
from bitnet.data.sources import Source

Rule = Callable[[str], str]


class UnitReader:
    """The steps of a specification, ready to look at the documents of any unit.

    Args:
        spec: the steps.
        held_out_fraction: share of the documents kept for validation: no rule is asked of them.
        index: the benchmarks, if they have been read already.

    Raises:
        DataError: a file that a step needs, or its library, is missing.
    """

    def __init__(
        self, spec: QualitySpec, held_out_fraction: float, index: BenchmarkIndex | None = None
    ) -> None:
        self.spec = spec
        self.held_out_fraction = held_out_fraction
        self.index = index
        if spec.decontaminate.enabled and index is None:
            self.index = build_index(spec.decontaminate)
        self.rules = cache(self._rules)

    def read(self, source: Source, unit: Unit) -> Examined:
        """Examine the documents of a unit; unusable records are left to whoever prepares them."""
        table = Table(self.spec)
        for document in self._documents(source, unit):
            table.add(document)
        return table.finish()

    def _rules(self, source: str) -> tuple[tuple[str, Rule], ...]:
        """The rules for single documents that apply to a source."""
        spec = self.spec
        makers: dict[str, Callable[[], Rule]] = {
            "gopher": lambda: lambda text: gopher_fault(text, spec.gopher),
            "c4": lambda: c4_rule(spec.c4),
            "language": lambda: language_rule(spec.language),
        }
        steps = dict(spec.steps())
        return tuple((name, make()) for name, make in makers.items() if steps[name].applies(source))

    def _documents(self, source: Source, unit: Unit) -> Iterator[Document]:
        current: Document | None = None
        for record in source.read(unit):
            if record.part == 0:
                current = self._begin(record, source.name)
            elif current is not None and record.text is not None:
                current.size += len(record.text.encode("utf-8", "surrogatepass"))
            if current is None or record.text is None:
                current = None
                continue
            self._follow(current, record.text, source.name)
            if record.last:
                yield current
                current = None

    def _begin(self, record: Record, source: str) -> Document | None:
        verdict = judge(record, self.held_out_fraction)
        if verdict.kind not in (Kind.TRAIN, Kind.HELD_OUT) or record.text is None:
            return None
        document = Document(record.number, verdict.kind is Kind.HELD_OUT, verdict.size)
        if not document.held:
            faults = ((name, rule(record.text)) for name, rule in self.rules(source))
            document.fault = next((f"{name}: {fault}" for name, fault in faults if fault), "")
        return document

    def _follow(self, document: Document, text: str, source: str) -> None:
        """Take what steps that compare documents need from a part of a document."""
        if document.fault:
            return  # it is dropped whatever else is found
        spec = self.spec
        if spec.exact.applies(source):
            document.exact.add(text)
        near = spec.near.applies(source) and document.shingles is None
        search = spec.decontaminate.applies(source) and not document.held
        if not near and not search:
            return
        words = words_of(text)
        hashes = word_hashes(words)
        if near:
            document.shingles = shingles(hashes, spec.near.ngram)
        if search:
            self._search(document, words)

    def _search(self, document: Document, words: list[str]) -> None:
        """Look for benchmarks, also across the border to the part before."""
        assert self.index is not None
        words = [*document.tail, *words]
        found, file = self.index.find(word_hashes(words))
        document.found += found
        document.words += len(words) - len(document.tail)
        if file >= 0 and not document.benchmark:
            document.benchmark = self.index.names[file]
        document.tail = words[max(0, len(words) - self.spec.decontaminate.words + 1) :]
