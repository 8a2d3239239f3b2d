"""The C4 rules (Raffel et al. 2020, section 2.2), applied to whole documents.

What C4 asks of lines is used to find the lines it would keep; the document is judged by those.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from bitnet.data.errors import DataError
from bitnet.data.quality.rule_specs import C4Spec

_TERMINAL = (".", "!", "?", '"', "”")
_UNWANTED = (
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]»]*(?=\s|$)")


def c4_rule(spec: C4Spec) -> Callable[[str], str]:
    """A function from a document to the first rule it breaks, or an empty string.

    Raises:
        DataError: the file of bad words cannot be read or holds none.
    """
    bad = _bad_words(Path(spec.bad_words).expanduser()) if spec.bad_words else None

    def fault(text: str) -> str:
        if spec.curly_brackets and ("{" in text or "}" in text):
            return "curly bracket"
        lower = text.lower()
        if spec.lorem_ipsum and "lorem ipsum" in lower:
            return "lorem ipsum"
        if bad is not None and bad.search(lower):
            return "bad word"
        return _kept_fault(text, spec)

    return fault


def _kept_fault(text: str, spec: C4Spec) -> str:
    """What is wrong with the lines that C4 would keep."""
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    kept = [line for line in lines if _keeps(line, spec)]
    if sum(len(_SENTENCE_END.findall(line)) for line in kept) < spec.min_sentences:
        return "too few sentences"
    if sum(map(len, kept)) < spec.min_kept * sum(map(len, lines)):
        return "too few good lines"
    return ""


def _keeps(line: str, spec: C4Spec) -> bool:
    if not line.endswith(_TERMINAL) or len(line.split()) < spec.min_line_words:
        return False
    lower = line.lower()
    return not any(phrase in lower for phrase in _UNWANTED)


def _bad_words(file: Path) -> re.Pattern[str]:
    try:
        lines = file.read_text("utf-8").lower().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"quality.c4.bad_words: '{file}' cannot be read ({error})") from error
    words = sorted(filter(None, map(str.strip, lines)))
    if not words:
        raise DataError(f"quality.c4.bad_words: '{file}' holds no words")
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, words)) + r")(?!\w)")
