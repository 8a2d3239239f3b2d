"""Choosing the next token from logits: temperature, top-k and top-p (nucleus) sampling."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class SamplingSpec:
    """How tokens are drawn.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token.
        top_k: keep only the k likeliest tokens; 0 keeps all.
        top_p: keep the smallest set of likeliest tokens whose shares reach p; 1 keeps all.
        max_new_tokens: most tokens to generate.
        seed: of the generator; the same seed gives the same text.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    max_new_tokens: int = 64
    seed: int = 0

    def problems(self) -> list[str]:
        """What is wrong, a line a problem; empty if nothing is."""
        found = []
        if self.temperature < 0:
            found.append(f"temperature: must be 0 (greedy) or more, not {self.temperature}")
        if self.top_k < 0:
            found.append(f"top_k: must be 0 (off) or more, not {self.top_k}")
        if not 0 < self.top_p <= 1:
            found.append(f"top_p: must be above 0 and at most 1, not {self.top_p}")
        if self.max_new_tokens < 1:
            found.append(f"max_new_tokens: must be 1 or more, not {self.max_new_tokens}")
        return found


def probabilities(logits_V: Tensor, sampling: SamplingSpec) -> Tensor:
    """The distribution tokens are drawn from, fp32 ``[V]``.

    Temperature first, then top-k, then top-p over what is left. Greedy is all weight on the first
    of the likeliest tokens.

    Args:
        logits_V: logits of the next token.
        sampling: how to draw.
    """
    if sampling.temperature == 0:
        return torch.nn.functional.one_hot(logits_V.argmax(), logits_V.shape[0]).float()
    scaled_V = logits_V.float() / sampling.temperature
    if sampling.top_k:
        kept = scaled_V.topk(min(sampling.top_k, scaled_V.shape[0]))
        scaled_V = torch.full_like(scaled_V, -torch.inf).scatter(0, kept.indices, kept.values)
    shares_V = scaled_V.softmax(dim=0)
    return _nucleus(shares_V, sampling.top_p) if sampling.top_p < 1 else shares_V


def _nucleus(shares_V: Tensor, top_p: float) -> Tensor:
    """Keep a token if the likelier ones before it do not reach ``top_p`` yet."""
    ordered_V, order_V = shares_V.sort(descending=True, stable=True)
    before_V = ordered_V.cumsum(0) - ordered_V
    kept_V = torch.where(before_V < top_p, ordered_V, torch.zeros_like(ordered_V))
    return torch.zeros_like(shares_V).scatter(0, order_V, kept_V / kept_V.sum())


def draw(logits_V: Tensor, sampling: SamplingSpec, generator: torch.Generator) -> int:
    """One token id; greedy draws nothing from the generator."""
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    shares_V = probabilities(logits_V, sampling).cpu()
    return int(torch.multinomial(shares_V, 1, generator=generator))
