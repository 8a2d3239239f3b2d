"""Optional steps of `bitnet prepare` that leave documents out, and say which and why.

Slow libraries are imported by the steps that need them.
"""

from bitnet.data.quality.rule_specs import C4Spec, GopherSpec, LanguageSpec
from bitnet.data.quality.spec import (
    DecontaminateSpec,
    ExactSpec,
    NearSpec,
    QualitySpec,
    ScoresSpec,
)
from bitnet.data.quality.verdicts import Tally, Verdicts

__all__ = [
    "C4Spec",
    "DecontaminateSpec",
    "ExactSpec",
    "GopherSpec",
    "LanguageSpec",
    "NearSpec",
    "QualitySpec",
    "ScoresSpec",
    "Tally",
    "Verdicts",
]
