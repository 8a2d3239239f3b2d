"""The shape of ``bitnet data score``: what is scored, by which model, and what the report shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from bitnet.data import CorpusSpec

DTYPES = ("fp32", "bf16")


@dataclass
class ScorerSpec:
    """The model that is asked.

    Attributes:
        model: a run directory or ``.ckpt`` of ours, a folder in Hugging Face's format, or a name on
            the hub.
        checkpoint: of a run directory: ``last``, or the name of a file in ``checkpoints/``.
        max_tokens: of prompt and document; what is longer is cut at the document's end.
        batch: documents of one pass.
        device: ``auto``, ``cpu`` or ``cuda``.
        dtype: in which the model computes; the softmax is float64 in any case.
        chat: put the prompt into the chat template of the model's tokenizer.
    """

    model: str = MISSING
    checkpoint: str = "last"
    max_tokens: int = 1024
    batch: int = 8
    device: str = "auto"
    dtype: str = "fp32"
    chat: bool = False

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = [
            f"{name}: {getattr(self, name)} must be at least 1"
            for name in ("max_tokens", "batch")
            if getattr(self, name) < 1
        ]
        if self.dtype not in DTYPES:
            found.append(f"dtype: '{self.dtype}' is unknown (valid: {', '.join(DTYPES)})")
        return found


@dataclass
class ScoreReport:
    """What the closing table says would be kept.

    Attributes:
        fractions: best shares of the documents.
        thresholds: lowest scores.
        token_budgets: tokens of the best documents.
        epochs_of: a training budget in tokens; how often it would pass over what is kept.
        only: make the table of the scores that are there, and score nothing.
    """

    fractions: list[float] = field(default_factory=lambda: [0.1, 0.3, 0.5])
    thresholds: list[float] = field(default_factory=list)
    token_budgets: list[int] = field(default_factory=list)
    epochs_of: int | None = None
    only: bool = False

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with the field's name."""
        found = [
            f"{name}: {value} is not between 0 and 1"
            for name in ("fractions", "thresholds")
            for value in getattr(self, name)
            if not 0 <= value <= 1
        ]
        budgets = [*self.token_budgets, *([] if self.epochs_of is None else [self.epochs_of])]
        found += [f"token_budgets, epochs_of: {n} is not positive" for n in budgets if n < 1]
        return found


@dataclass
class ScoreConfig:
    """``bitnet data score``.

    Attributes:
        data: the corpus.
        subsets: the sources to score; ``null``: all.
        tokenizer: counts the tokens that budgets are in; that of the training to come.
        output: folder of the scores.
        range_megabytes: how plain files are cut; ``bitnet prepare`` must cut them likewise.
        scorer: the model.
        report: the closing table.
    """

    data: CorpusSpec = MISSING
    subsets: list[str] | None = None
    tokenizer: str = MISSING
    output: str = MISSING
    range_megabytes: float = 256.0
    scorer: ScorerSpec = field(default_factory=ScorerSpec)
    report: ScoreReport = field(default_factory=ScoreReport)

    def problems(self) -> list[str]:
        """One line for each unusable value, beginning with its full path."""
        sections: dict[str, CorpusSpec | ScorerSpec | ScoreReport] = {
            "data": self.data,
            "scorer": self.scorer,
            "report": self.report,
        }
        found = [f"{path}.{line}" for path, spec in sections.items() for line in spec.problems()]
        if self.range_megabytes <= 0:
            found.append(f"range_megabytes: {self.range_megabytes} is not positive")
        return found
