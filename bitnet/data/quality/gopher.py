"""The Gopher rules about words and symbols (Rae et al. 2021, appendix A.1.1).

Words here are what white space separates, punctuation included, as a reader would count them.
"""

from __future__ import annotations

from bitnet.data.quality.repetition import repetition_fault
from bitnet.data.quality.rule_specs import GopherSpec

_BULLETS = ("•", "‣", "◦", "●", "▪", "*", "-", "–")
_ELLIPSES = ("...", "…")
_EDGES = ".,;:!?\"'()[]{}<>«»“”‘’…-–—*_"


def gopher_fault(text: str, spec: GopherSpec) -> str:
    """The first rule a document breaks, or an empty string.

    Args:
        text: the document.
        spec: the limits.
    """
    words = text.split()
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    return (
        _word_fault(words, spec)
        or _symbol_fault(text, words, spec)
        or _line_fault(lines, spec)
        or _letter_fault(words, spec)
        or (repetition_fault(text, words, spec) if spec.repetition else "")
    )


def _word_fault(words: list[str], spec: GopherSpec) -> str:
    if len(words) < spec.min_words:
        return "too few words"
    if len(words) > spec.max_words:
        return "too many words"
    mean = sum(map(len, words)) / len(words) if words else 0.0
    return "" if spec.min_mean_word <= mean <= spec.max_mean_word else "mean word length"


def _symbol_fault(text: str, words: list[str], spec: GopherSpec) -> str:
    limit = spec.max_symbols * len(words)
    if text.count("#") > limit:
        return "hash signs"
    return "ellipses" if sum(map(text.count, _ELLIPSES)) > limit else ""


def _line_fault(lines: list[str], spec: GopherSpec) -> str:
    if sum(line.startswith(_BULLETS) for line in lines) > spec.max_bullet_lines * len(lines):
        return "bullet lines"
    if sum(line.endswith(_ELLIPSES) for line in lines) > spec.max_ellipsis_lines * len(lines):
        return "ellipsis lines"
    return ""


def _letter_fault(words: list[str], spec: GopherSpec) -> str:
    lettered = sum(any(map(str.isalpha, word)) for word in words)
    if lettered < spec.min_alphabetic * len(words):
        return "words without letters"
    # Distinct words, so that long documents cost little.
    seen = {word.strip(_EDGES).lower() for word in set(words)}
    return "stop words" if len(seen.intersection(spec.stop_words)) < spec.min_stop_words else ""
