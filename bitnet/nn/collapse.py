"""A wide embedding table folded into the model's width: the same logits from fewer parameters.

A model with ``embedding_dim`` reads its tokens through ``embedding_in`` and writes logits through
``head.out``; both are linear, so their products with the table are tables of width ``dim``.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from bitnet.nn.transformer import Transformer


@torch.no_grad()
def collapsed(model: Transformer) -> Transformer:
    """A model without ``embedding_dim`` and with untied tables that computes the same logits.

    Raises:
        ValueError: the model's table has the model's own width already.
    """
    if model.embedding_in is None or model.head.out is None:
        raise ValueError("embedding_dim: is unset; there is nothing to fold")
    shape = replace(model.shape, embedding_dim=None, tie_embeddings=False)
    fresh = Transformer(shape, model.linear, model.compute_dtype).to(model.embedding.weight.device)
    state = model.state_dict()
    into, out = state.pop("embedding_in.weight"), state.pop("head.out.weight")
    table = state["embedding.weight"]
    state["head.weight"] = state.get("head.weight", table) @ out
    state["embedding.weight"] = table @ into.T
    fresh.load_state_dict(state)
    return fresh
