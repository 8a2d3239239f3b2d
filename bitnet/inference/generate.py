"""Text generation: read the prompt once, then one token a pass from the cache."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bitnet.inference.sampling import SamplingSpec, draw
from bitnet.nn import KVCache, Transformer


def generate(
    model: Transformer,
    prompt_ids: list[int],
    sampling: SamplingSpec,
    eos_id: int | None,
    use_cache: bool = True,
) -> list[int]:
    """Continue a prompt.

    Generation ends at ``eos_id`` (which is not returned), after ``max_new_tokens``, or when prompt
    and continuation fill ``max_sequence_length``. No global random state is touched.

    Args:
        model: the language model.
        prompt_ids: at least one token id.
        sampling: how tokens are drawn.
        eos_id: the token that ends a text, or ``None``.
        use_cache: keep keys and values; without, every pass reads the whole text again.

    Returns:
        The new token ids only.

    Raises:
        ValueError: the prompt is empty or leaves no room, or the sampling has problems.
    """
    return list(stream(model, prompt_ids, sampling, eos_id, use_cache))


def stream(
    model: Transformer,
    prompt_ids: list[int],
    sampling: SamplingSpec,
    eos_id: int | None,
    use_cache: bool = True,
) -> Iterator[int]:
    """Like :func:`generate`, a token at a time as they come."""
    room = _room(model, prompt_ids, sampling)
    generator = torch.Generator().manual_seed(sampling.seed)
    reader = _Reader(model, len(prompt_ids) + room) if use_cache else None
    ids, unread = list(prompt_ids), list(prompt_ids)
    for _ in range(room):
        logits_V = _last_logits(model, ids) if reader is None else reader.read(unread)
        token = draw(logits_V, sampling, generator)
        if token == eos_id:
            return
        yield token
        ids.append(token)
        unread = [token]


def _room(model: Transformer, prompt_ids: list[int], sampling: SamplingSpec) -> int:
    """How many tokens may follow the prompt."""
    problems = sampling.problems()
    if problems:
        raise ValueError("; ".join(problems))
    longest = model.shape.max_sequence_length
    if not prompt_ids:
        raise ValueError("the prompt is empty; give at least one token")
    if len(prompt_ids) >= longest:
        raise ValueError(
            f"the prompt has {len(prompt_ids)} tokens and leaves no room: "
            f"max_sequence_length is {longest}"
        )
    return min(sampling.max_new_tokens, longest - len(prompt_ids))


class _Reader:
    """Reads tokens into a cache and gives the logits after the last."""

    def __init__(self, model: Transformer, capacity: int) -> None:
        self.model = model
        self.cache = KVCache(capacity)

    def read(self, ids: list[int]) -> Tensor:
        return _last_logits(self.model, ids, self.cache)


def _last_logits(model: Transformer, ids: list[int], cache: KVCache | None = None) -> Tensor:
    """Logits ``[V]`` of the token after ``ids``."""
    tokens_BT = torch.tensor([ids], device=model.embedding.weight.device)
    with torch.no_grad():
        logits_BTV: Tensor = model(tokens_BT, cache)
    return logits_BTV[0, -1]
