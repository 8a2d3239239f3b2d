"""Loss, perplexity and bits per byte, in total and for each source, through torchmetrics.

Perplexities of models with different tokenizers cannot be compared; bits per byte can. Losses of
different sources differ by nats, so a total says little without its parts. This metric sums three
numbers a source (nats, tokens, bytes of text) on the device, without a host sync, and everything
else follows from those sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import torch
from torch import Tensor, nn
from torchmetrics import Metric


class SourceLoss(Metric):
    """Sums of next-token loss by source.

    Args:
        sources: names, in the order of the ``source`` byte of a batch.
        byte_lengths: ``[vocab]``: bytes of text that each token stands for (EOS and other
            specials: 0, so ending a document costs nats but earns no bytes).
        weights: share of each source in the total. ``None``: the total is the mean over the
            tokens that came; otherwise the expected loss of a mix with these weights, which does
            not depend on how many tokens of each source were measured.
    """

    full_state_update = False
    nats: Tensor
    tokens: Tensor
    bytes: Tensor

    def __init__(
        self,
        sources: Sequence[str],
        byte_lengths: Tensor,
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.sources = list(sources)
        self.weights = None if weights is None else list(weights)
        self.register_buffer("byte_lengths", byte_lengths.to(torch.float64), persistent=False)
        for name in ("nats", "tokens", "bytes"):
            zero = torch.zeros(len(self.sources), dtype=torch.float64)
            self.add_state(name, zero, dist_reduce_fx="sum")

    def update(self, nll_BT: Tensor, targets_BT: Tensor, source_B: Tensor) -> None:
        """Add a batch: nats a token, the tokens predicted, the source of each sample."""
        # A product with one-hot rows instead of index_add: the same sums in a fixed order.
        onehot_SB = nn.functional.one_hot(source_B.long(), len(self.sources)).T.to(torch.float64)
        self.nats += onehot_SB @ nll_BT.detach().to(torch.float64).sum(1)
        self.tokens += onehot_SB.sum(1) * targets_BT.shape[1]
        lengths: Tensor = self.byte_lengths  # type: ignore[assignment]  # a buffer
        self.bytes += onehot_SB @ lengths[targets_BT].sum(1)

    def compute(self) -> dict[str, float]:
        """All the numbers that the sums so far give.

        ``loss``, ``perplexity`` and ``bits_per_byte`` in total, ``loss/<source>`` and
        ``bits_per_byte/<source>`` of every source that came.
        One transfer from the device; call it on log steps only.
        """
        nats, tokens, octets = torch.stack([self.nats, self.tokens, self.bytes]).tolist()
        rows = {
            name: (nats[i], tokens[i], octets[i])
            for i, name in enumerate(self.sources)
            if tokens[i] > 0
        }
        if not rows:
            return {}
        result = _summary(*self._total(rows))
        for name, row in rows.items():
            parts = _summary(*row)
            parts.pop("perplexity")  # exp of the loss beside it
            result |= {f"{key}/{name}": value for key, value in parts.items()}
        return result

    def _total(self, rows: dict[str, tuple[float, float, float]]) -> tuple[float, float, float]:
        """Nats, tokens and bytes of the whole: plain sums, or one weighted token a source."""
        if self.weights is None:
            nats, tokens, octets = (sum(column) for column in zip(*rows.values(), strict=True))
            return nats, tokens, octets
        share = {n: w for n, w in zip(self.sources, self.weights, strict=True) if n in rows}
        scale = sum(share.values()) or 1.0
        nats = sum(share[n] / scale * rows[n][0] / rows[n][1] for n in rows)
        octets = sum(share[n] / scale * rows[n][2] / rows[n][1] for n in rows)
        return nats, 1.0, octets


def _summary(nats: float, tokens: float, octets: float) -> dict[str, float]:
    """Loss in nats a token, its perplexity, and bits per byte of text."""
    loss = nats / tokens
    summary = {"loss": loss, "perplexity": exp(min(loss, 700.0))}
    if octets > 0:
        summary["bits_per_byte"] = nats / log(2) / octets
    return summary
