"""The bytes that a micro-batch keeps, for a model of any depth: what two small traces tell."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Kept:
    """Bytes of one micro-batch on one device, for a number of blocks.

    Attributes:
        activations: kept for backward that grow with the batch, logits left out.
        logits: of them, as wide as the vocabulary.
        weight_copies: weights in the compute dtype, kept for backward.
        block: of all three, what one block keeps.
        head_extra: most that the head's own forward and backward add at once.
        block_extra: most that the backward of one block adds at once, its gradients included.
        embedding_extra: likewise of the embedding, whose backward comes last.
        codes: quantised weights, which live as long as the model.
    """

    activations: float
    logits: float
    weight_copies: float
    block: float
    head_extra: float
    block_extra: float
    embedding_extra: float
    codes: float

    @property
    def saved(self) -> float:
        """All that is kept for backward."""
        return self.activations + self.logits + self.weight_copies


def with_blocks(one: Kept, two: Kept, blocks: int) -> Kept:
    """What ``blocks`` blocks keep, from what one and two keep."""
    grown = {
        name: getattr(one, name) + (blocks - 1) * (getattr(two, name) - getattr(one, name))
        for name in ("activations", "logits", "weight_copies", "codes")
    }
    return replace(one, **grown, block=two.saved - one.saved)


def made_anew(kept: Kept, one: Kept, two: Kept, anew: int, blocks: int, into: float) -> Kept:
    """What is kept if of ``blocks`` blocks ``anew`` keep their input, of ``into`` bytes, alone.

    A block is made anew right before its backward, so all it would have kept is there then.
    """
    activations = two.activations - one.activations
    copies = two.weight_copies - one.weight_copies
    return replace(
        kept,
        activations=kept.activations + anew * (into - activations),
        weight_copies=kept.weight_copies - anew * copies,
        block=kept.block + anew / blocks * (into - kept.block),
        block_extra=kept.block_extra + kept.block,
    )
