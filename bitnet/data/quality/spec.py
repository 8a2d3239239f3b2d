"""The settings of the quality steps, each off until it is asked for.

A step names the sources it applies to, because rules made for web prose are wrong for code and
mathematics. Defaults are the published values; where a step has none, its field says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bitnet.data.quality.rule_specs import C4Spec, GopherSpec, LanguageSpec, Step, outside


@dataclass
class ExactSpec(Step):
    """Drops all but the first of the documents that are the same but for case and white space."""


@dataclass
class NearSpec(Step):
    """Drops documents that are much like an earlier one (MinHash signatures, LSH bands).

    Attributes:
        ngram: words of a shingle.
        permutations: numbers in a signature; the similarity is estimated with a standard
            deviation of at most `0.5 / sqrt(permutations)`.
        threshold: Jaccard similarity of two sets of shingles from which the later is dropped.
        across_sources: compare documents of different sources too.
    """

    ngram: int = 5
    permutations: int = 128
    threshold: float = 0.8
    across_sources: bool = True

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = []
        if self.ngram < 1:
            found.append(f"ngram: {self.ngram} is not a positive number of words")
        if not 16 <= self.permutations <= 1024:
            found.append(f"permutations: {self.permutations} is not between 16 and 1024")
        if not 0.1 <= self.threshold <= 1:
            found.append(f"threshold: {self.threshold} is not between 0.1 and 1")
        return found


@dataclass
class DecontaminateSpec(Step):
    """Drops documents that hold text of a benchmark.

    Attributes:
        benchmarks: files with the items: `.jsonl`, `.csv` or `.txt` (an item a line).
        fields: the fields of an item that are looked for; empty: every text in it.
        words: length of the runs of words that are looked for.
        shortest: texts with fewer than `words` words are looked for whole if they have so many;
            shorter ones are not looked for.
        max_share: share of a document's words inside such runs that is let pass; 0: none.
    """

    benchmarks: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    words: int = 13
    shortest: int = 8
    max_share: float = 0.0

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = outside("max_share", self.max_share)
        if self.enabled and not self.benchmarks:
            found.append("benchmarks: is empty; name the files whose items must not be trained on")
        if not 1 <= self.shortest <= self.words:
            found.append(f"shortest: {self.shortest} is not between 1 and words {self.words}")
        return found


@dataclass
class ScoresSpec(Step):
    """Keeps the documents that a language model scored best (`bitnet data score`).

    Attributes:
        folder: where the scores lie.
        top_fraction: keep this share of the documents.
        threshold: keep the documents with at least this score.
        token_budget: keep the best documents, as many as have no more tokens together.
        per_source: take `top_fraction` of each source, not of all together.
    """

    folder: str = ""
    top_fraction: float | None = None
    threshold: float | None = None
    token_budget: int | None = None
    per_source: bool = False

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = outside("top_fraction", self.top_fraction) + outside("threshold", self.threshold)
        if self.token_budget is not None and self.token_budget < 1:
            found.append(f"token_budget: {self.token_budget} is not a positive number of tokens")
        rules = [self.top_fraction, self.threshold, self.token_budget]
        if self.enabled and sum(rule is not None for rule in rules) != 1:
            found.append("top_fraction, threshold, token_budget: set exactly one of them")
        if self.per_source and self.top_fraction is None:
            found.append("per_source: goes with top_fraction only")
        if self.enabled and not self.folder:
            found.append("folder: is empty; name the folder that `bitnet data score` filled")
        return found


@dataclass
class QualitySpec:
    """Which documents `bitnet prepare` leaves out; the steps run in this order.

    Attributes:
        gopher: rules of thumb about words, symbols and repetition.
        c4: rules of thumb about lines and markup.
        language: keep some languages.
        scores: keep what a model scored best.
        exact: one of each set of equal documents.
        near: one of each set of similar documents.
        decontaminate: nothing that benchmarks ask.
    """

    gopher: GopherSpec = field(default_factory=GopherSpec)
    c4: C4Spec = field(default_factory=C4Spec)
    language: LanguageSpec = field(default_factory=LanguageSpec)
    scores: ScoresSpec = field(default_factory=ScoresSpec)
    exact: ExactSpec = field(default_factory=ExactSpec)
    near: NearSpec = field(default_factory=NearSpec)
    decontaminate: DecontaminateSpec = field(default_factory=DecontaminateSpec)

    def steps(self) -> Iterator[tuple[str, Step]]:
        """Every step with its name, in the order they run."""
        for name in self.__dataclass_fields__:
            yield name, getattr(self, name)

    @property
    def enabled(self) -> bool:
        """Whether any step is on."""
        return any(step.enabled for _, step in self.steps())

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the step and the field."""
        return [f"{name}.{line}" for name, step in self.steps() for line in step.problems()]
