"""The shapes that training steps are timed at, by name.

``28m`` is what two cores train in a coffee break; ``125m`` has GPT-2's sizes and its padded
vocabulary, so that the head weighs what it weighs in practice; ``700m`` and ``1.3b`` are BitNet's
own. Their ``_layer`` forms are one block of each for machines that cannot hold the whole: with a
vocabulary of 256 tokens the head is about one percent of the arithmetic, and the block is what is
measured. ``tiny`` proves that everything runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from bitnet.nn import LinearSpec, ModelShape, Transformer


@dataclass(frozen=True)
class Shape:
    """What is trained: a model and the batch of a step.

    Attributes:
        name: its key in ``SHAPES``.
        batch: sequences of a step.
        length: tokens of a sequence.
    """

    name: str
    dim: int
    layers: int
    heads: int
    ffn_dim: int
    vocab: int
    batch: int
    length: int

    @property
    def tokens(self) -> int:
        """Tokens of a step."""
        return self.batch * self.length

    @property
    def label(self) -> str:
        """The shape in a row of a report."""
        model = f"d{self.dim}-l{self.layers}-h{self.heads}-f{self.ffn_dim}-v{self.vocab}"
        return f"{self.name} {model} {self.batch}x{self.length}"

    def model(self) -> ModelShape:
        """The model's shape, as the rest of the project knows it."""
        return ModelShape(
            name=self.name,
            dim=self.dim,
            layers=self.layers,
            heads=self.heads,
            ffn_dim=self.ffn_dim,
            vocab_size=self.vocab,
            max_sequence_length=self.length,
        )

    def flops(self) -> float:
        """Operations of a step, forward and backward, by :meth:`Transformer.flops_per_token`."""
        with torch.device("meta"):
            twin = Transformer(self.model(), LinearSpec("dense"))
        return twin.flops_per_token(self.length) * self.tokens


_M700 = Shape("700m", 1536, 24, 24, 4096, vocab=32000, batch=8, length=2048)
_B13 = Shape("1.3b", 2048, 24, 32, 5460, vocab=32000, batch=4, length=2048)

SHAPES = {
    each.name: each
    for each in (
        Shape("tiny", 64, 2, 2, 176, vocab=256, batch=2, length=64),
        Shape("28m", 512, 8, 8, 1408, vocab=4096, batch=8, length=512),
        Shape("125m", 768, 12, 12, 2048, vocab=50304, batch=4, length=1024),
        _M700,
        _B13,
        replace(_M700, name="700m_layer", layers=1, vocab=256, batch=2),
        replace(_B13, name="1.3b_layer", layers=1, vocab=256, batch=2),
    )
}
