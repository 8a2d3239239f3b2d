"""Ask-LLM: a language model says how much it would like to be trained on a document.

The score is P("yes" | prompt) with the prompt of Sachdeva et al. 2024 (arXiv 2402.09668), figure
3. What the paper leaves to its model (Flan-T5, which answers with a decoder of its own) is settled
here for causal models:

* The prompt ends with the line break after its last option, so the answer is what comes next.
* "yes" is what the tokenizer makes of `yes` and of ` yes` in that place; the probabilities of the
  two spellings are added. A spelling of several tokens has the product of theirs.
* A document that does not fit is cut at its end, in tokens; the question is always whole.
* Softmax and sums are taken in float64 from float32 logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

BEFORE = "###\n"
AFTER = """
###

Does the previous paragraph demarcated within ### and ### contain informative signal for \
pre-training a large-language model? An informative datapoint should be well-formatted, contain \
some usable knowledge of the world, and strictly NOT have any harmful, racist, sexist, etc. content.

OPTIONS:
- yes
- no
"""
"""The published words; the lines of the figure are joined to paragraphs."""

_ANSWERS = ("yes", " yes")
_CHARS_PER_TOKEN = 32

Ids = list[int]


class CausalModel(Protocol):
    """A model that predicts each token from those before it."""

    @property
    def context(self) -> int | None:
        """Most tokens it can read, if there is a limit."""

    def logits(self, tokens_BT: Tensor, keep_BK: Tensor) -> Tensor:
        """Logits in float32 `[B, K, V]` of the tokens after places `keep_BK` of each row.

        Rows are padded at their end, which a causal model cannot see from an earlier place.
        """


@dataclass(frozen=True)
class Question:
    """The prompt in the tokens of one tokenizer.

    Attributes:
        encode: text to ids, without special tokens.
        begin: special tokens that open a text.
        before: prompt in front of the document.
        after: prompt behind it.
        max_tokens: of prompt and document together.
        encode_document: text to ids for documents, if special tokens must be kept out.

    Raises:
        ValueError: `max_tokens` leaves no room for a document, or the tokenizer has no "yes".
    """

    encode: Callable[[str], Ids]
    begin: tuple[int, ...]
    max_tokens: int
    before: str = BEFORE
    after: str = AFTER
    encode_document: Callable[[str], Ids] | None = field(default=None)

    def __post_init__(self) -> None:
        """Check that there is room."""
        if self.room < 1:
            need = self.max_tokens - self.room
            raise ValueError(
                f"the prompt alone is {need} tokens, which leaves no room for a document in "
                f"{self.max_tokens}"
            )

    @cached_property
    def room(self) -> int:
        """Most tokens of a document."""
        answer = max(len(ids) for ids in self.spellings) - 1
        return self.max_tokens - len(self._head) - len(self._tail) - answer

    @cached_property
    def spellings(self) -> tuple[tuple[int, ...], ...]:
        """The ways the tokenizer spells "yes" behind the prompt, each once."""
        found = set()
        for answer in _ANSWERS:
            ids = self.encode(self.after + answer)
            if ids[: len(self._tail)] == self._tail:
                found.add(tuple(ids[len(self._tail) :]))
        found.discard(())
        if not found:
            raise ValueError("the tokenizer joins the answer 'yes' to the prompt in one token")
        return tuple(sorted(found))

    def document(self, text: str) -> Ids:
        """Ids of as much of the beginning of a text as there is room for."""
        encode = self.encode_document or self.encode
        return encode(text[: _CHARS_PER_TOKEN * self.room])[: self.room]

    def prompt(self, document: Ids) -> Ids:
        """The whole prompt."""
        return [*self._head, *document, *self._tail]

    @cached_property
    def _head(self) -> Ids:
        return [*self.begin, *self.encode(self.before)]

    @cached_property
    def _tail(self) -> Ids:
        return self.encode(self.after)


def scores(model: CausalModel, question: Question, documents: Sequence[Ids]) -> list[float]:
    """P(yes) of some documents, in one pass of the model.

    Args:
        model: see :class:`CausalModel`.
        question: makes the prompts and knows the spellings of "yes".
        documents: ids, each from :meth:`Question.document`.
    """
    # Spellings that differ in their last token only are answered by the same row.
    stems = sorted({spelling[:-1] for spelling in question.spellings})
    prompts = [question.prompt(document) for document in documents]
    rows = [[*prompt, *stem] for prompt in prompts for stem in stems]
    most = 1 + max(map(len, stems))
    starts = [len(prompt) - 1 for prompt in prompts for _ in stems]
    keep = [
        [min(start + step, len(row) - 1) for step in range(most)]
        for start, row in zip(starts, rows, strict=True)
    ]
    with torch.no_grad():
        logits_BKV = model.logits(_padded(rows), torch.tensor(keep))
    log_p_BKV = logits_BKV.cpu().double().log_softmax(dim=-1)
    log_p = log_p_BKV.view(len(documents), len(stems), most, -1)
    return [
        _probability(log_p[place], stems, question.spellings) for place in range(len(documents))
    ]


def _probability(
    log_p_SKV: Tensor, stems: list[tuple[int, ...]], spellings: tuple[tuple[int, ...], ...]
) -> float:
    """The probabilities of the spellings of one answer, added."""
    total = 0.0
    for spelling in spellings:
        row = log_p_SKV[stems.index(spelling[:-1])]
        steps = torch.arange(len(spelling))
        total += float(row[steps, torch.tensor(spelling)].sum().exp())
    return total


def _padded(rows: list[Ids]) -> Tensor:
    """Rows `[B, T]`; what follows a shorter one is never looked at."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *([0] * (longest - len(row)))] for row in rows])
