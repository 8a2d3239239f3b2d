"""Which language a document is in, by the model that `py3langid` carries."""

from __future__ import annotations

from collections.abc import Callable

from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.quality.extra import from_extra
from bitnet.data.quality.rule_specs import LanguageSpec

_READ_CHARS = 2000


def language_rule(spec: LanguageSpec) -> Callable[[str], str]:
    """A function from a document to what is wrong with its language, or an empty string.

    The first 2,000 characters decide.

    Raises:
        DataError: the library is missing, or does not know a language.
    """
    library = from_extra("py3langid.langid", "quality.language")
    identifier = library.LanguageIdentifier.from_model_file(library.MODEL_FILE, norm_probs=True)
    for code in spec.keep:
        if code not in identifier.labels:
            known = describe_unknown(code, sorted(identifier.labels))
            raise DataError(f"quality.language.keep: {known}")

    def fault(text: str) -> str:
        code, probability = identifier.classify(text[:_READ_CHARS])
        if code not in spec.keep:
            return "another language"
        return "" if probability >= spec.min_probability else "language unsure"

    return fault
