"""How a training pass is carried out: what is kept, what is made anew, and who may look at whom.

A model's shape says what it is; this says how its passes run on the machine at hand. Only
``end_token`` changes what is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitnet.nn.recompute import recompute_problems


@dataclass(frozen=True)
class PassSpec:
    """The way of a pass.

    Attributes:
        loss_chunk: tokens whose logits exist at once while the loss is made; ``None``: all of them
            while they are few (see :func:`bitnet.nn.chunked_loss.chunk_rows`); 0: always all.
        recompute: what backward makes anew: ``none``, ``blocks``, ``every_N`` or ``selective``
            (see :mod:`bitnet.nn.recompute`).
        end_token: the token at which attention is cut: what comes from it on does not see what
            stands before it. ``None``: a sequence is one text.
    """

    loss_chunk: int | None = None
    recompute: str = "none"
    end_token: int | None = None

    def problems(self) -> list[str]:
        """What is wrong with the values, a line a problem."""
        found = recompute_problems(self.recompute)
        if self.loss_chunk is not None and self.loss_chunk < 0:
            found.append(f"loss_chunk: {self.loss_chunk} is negative (0: all tokens at once)")
        return found
