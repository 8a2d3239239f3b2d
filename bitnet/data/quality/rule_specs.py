"""The settings of the steps that look at one document by itself."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Step:
    """What every step has.

    Attributes:
        enabled: whether it runs.
        sources: the sources it applies to; empty: all.
    """

    enabled: bool = False
    sources: list[str] = field(default_factory=list)

    def applies(self, source: str) -> bool:
        """Whether documents of `source` pass through this step."""
        return self.enabled and (not self.sources or source in self.sources)

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        return []


@dataclass
class GopherSpec(Step):
    """The rules of Rae et al. 2021 (arXiv 2112.11446), appendix A.1.1, with their values.

    Shares are of words, lines or characters and lie between 0 and 1; a document beyond a limit is
    dropped.

    Attributes:
        min_words: fewest words.
        max_words: most words.
        min_mean_word: shortest mean length of a word, characters.
        max_mean_word: longest.
        max_symbols: hash signs, or ellipses, for each word.
        max_bullet_lines: share of lines that begin with a bullet point.
        max_ellipsis_lines: share of lines that end with an ellipsis.
        min_alphabetic: share of words that hold a letter.
        stop_words: common words …
        min_stop_words: … of which so many must occur.
        repetition: whether the limits below apply (their table A1).
        max_duplicate_lines: share of lines that occurred before.
        max_duplicate_paragraphs: the same of paragraphs.
        max_duplicate_line_chars: share of characters in such lines.
        max_duplicate_paragraph_chars: share of characters in such paragraphs.
        max_top_ngram: n → share of characters in the commonest run of n words.
        max_duplicate_ngrams: n → share of characters in runs of n words that occurred before.
    """

    min_words: int = 50
    max_words: int = 100_000
    min_mean_word: float = 3.0
    max_mean_word: float = 10.0
    max_symbols: float = 0.1
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_alphabetic: float = 0.8
    stop_words: list[str] = field(
        default_factory=lambda: ["the", "be", "to", "of", "and", "that", "have", "with"]
    )
    min_stop_words: int = 2
    repetition: bool = True
    max_duplicate_lines: float = 0.3
    max_duplicate_paragraphs: float = 0.3
    max_duplicate_line_chars: float = 0.2
    max_duplicate_paragraph_chars: float = 0.2
    max_top_ngram: dict[int, float] = field(default_factory=lambda: {2: 0.2, 3: 0.18, 4: 0.16})
    max_duplicate_ngrams: dict[int, float] = field(
        default_factory=lambda: {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1}
    )

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = []
        for name, value in vars(self).items():
            if isinstance(value, float) and not name.endswith(("mean_word", "symbols")):
                found += outside(name, value)
        if self.min_words > self.max_words:
            found.append(f"min_words: {self.min_words} is above max_words {self.max_words}")
        if self.min_mean_word > self.max_mean_word:
            found.append(f"min_mean_word: {self.min_mean_word} is above {self.max_mean_word}")
        if self.min_stop_words > len(set(self.stop_words)):
            found.append(f"min_stop_words: {self.min_stop_words} is more than there are stop_words")
        for name in ("max_top_ngram", "max_duplicate_ngrams"):
            for n, share in getattr(self, name).items():
                found += outside(f"{name}.{n}", share)
                if n < 1:
                    found.append(f"{name}.{n}: is not a positive number of words")
        return found


@dataclass
class C4Spec(Step):
    """The rules of Raffel et al. 2020 (JMLR 21:140), section 2.2, as a filter of documents.

    C4 deletes single lines; here texts stay as they are, so a document is dropped if too little of
    it would be left.

    Attributes:
        min_line_words: C4 keeps lines with so many words …
        min_sentences: … and pages with so many sentences in the lines it keeps.
        min_kept: share of the characters that must stand in lines C4 keeps. C4 has no such rule:
            this value is ours, and 0 switches it off.
        curly_brackets: drop documents with a curly bracket.
        lorem_ipsum: drop documents with "lorem ipsum".
        bad_words: file of words, one a line; a document with one of them is dropped.
    """

    min_line_words: int = 5
    min_sentences: int = 3
    min_kept: float = 0.5
    curly_brackets: bool = True
    lorem_ipsum: bool = True
    bad_words: str = ""

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        return outside("min_kept", self.min_kept)


@dataclass
class LanguageSpec(Step):
    """Keeps documents in some languages, as told by the model that comes with `py3langid`.

    Attributes:
        keep: ISO 639-1 codes.
        min_probability: of the likeliest language, if that is one to keep.
    """

    keep: list[str] = field(default_factory=lambda: ["en"])
    min_probability: float = 0.5

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = outside("min_probability", self.min_probability)
        if not self.keep:
            found.append("keep: is empty; name the languages to keep, such as [en]")
        return found


def outside(name: str, share: float | None) -> list[str]:
    """The line about a share that does not lie between 0 and 1, if it doesn't."""
    if share is None or 0 <= share <= 1:
        return []
    return [f"{name}: {share} is not between 0 and 1"]
