"""Decides what kind of text a piece of documentation is, and cleans prose the way C4 was cleaned.

The rules are few and rough: they give the seven subsets distinct characters, which is all that a
stand-in for a mixture needs.
"""

from __future__ import annotations

import re

_MATHS = re.compile(r":math:`|^\.\. math::|\\frac|\\sum_", re.MULTILINE)
_SENTENCE_END = (".", "!", "?", '."', ".)", ":")
_CODE = re.compile(r"[{}<>=\\|]|->|::|\.\. |_\w+\(|^[:#*\-+]", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n\s*\n")
_HEADING = re.compile(r"\n(?=[^\n]+\n(?:={4,}|-{4,}|\*{4,}|~{4,})\n)")
_SHORTEST_PROSE = 240
_FEWEST_WORDS = 8


def has_maths(text: str) -> bool:
    """Whether a text contains LaTeX formulas."""
    return ("math" in text or "\\" in text) and _MATHS.search(text) is not None


def has_examples(text: str) -> bool:
    """Whether a text answers with interpreter sessions."""
    return ">>> " in text


def clean_prose(text: str) -> str:
    """The paragraphs of a text that are sentences, or an empty string if they are few."""
    plain = text.replace("`", "")
    paragraphs = [" ".join(part.split()) for part in _PARAGRAPH.split(plain)]
    kept = [part for part in paragraphs if _is_prose(part)]
    joined = "\n".join(kept)
    return joined if len(joined) >= _SHORTEST_PROSE else ""


def _is_prose(paragraph: str) -> bool:
    return (
        len(paragraph.split()) >= _FEWEST_WORDS
        and paragraph.endswith(_SENTENCE_END)
        and _CODE.search(paragraph) is None
    )


def sections_of(text: str, longest: int) -> list[str]:
    """Split a text at underlined headings, then at paragraphs, into parts of about `longest`."""
    return [part for section in _HEADING.split(text) for part in chapters_of(section, longest)]


def chapters_of(text: str, longest: int) -> list[str]:
    """Split a text at blank lines into parts that end after `longest` characters are reached."""
    parts: list[str] = []
    current: list[str] = []
    size = 0
    for paragraph in _PARAGRAPH.split(text):
        current.append(paragraph)
        size += len(paragraph)
        if size >= longest:
            parts.append("\n\n".join(current).strip())
            current, size = [], 0
    parts.append("\n\n".join(current).strip())
    return [part for part in parts if part]
