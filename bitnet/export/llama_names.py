"""Names of parameters in LLaMA-like checkpoints of Hugging Face, and ours.

Rotary positions are in the half-split form on both sides, so values need no permutation.
"""

from __future__ import annotations

import re

TOP = {
    "model.embed_tokens": "embedding",
    "model.norm": "head.norm",
    "lm_head": "head",
}
"""Modules outside the blocks: theirs to ours."""

IN_BLOCK = {
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.attn_sub_norm": "attention.attn_sub_norm",
    "mlp.ffn_sub_norm": "ffn.ffn_sub_norm",
    **{f"self_attn.{each}_proj": f"attention.{each}" for each in "qkvo"},
    **{f"mlp.{each}_proj": f"ffn.{each}" for each in ("gate", "up", "down")},
}
"""Modules of ``model.layers.N``: theirs to those of our ``blocks.N``."""

_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
# Old checkpoints carry the rotary frequencies, which follow from the config.
_DERIVED = "rotary_emb.inv_freq"


def our_name(theirs: str) -> str | None:
    """Our name of a stored tensor; ``None`` for one that follows from the config.

    A name that is not known is returned as it is: it will be found to have no place.
    """
    if theirs.endswith(_DERIVED):
        return None
    module, _, leaf = theirs.rpartition(".")
    layer = _LAYER.fullmatch(module)
    if layer and layer[2] in IN_BLOCK:
        return f"blocks.{layer[1]}.{IN_BLOCK[layer[2]]}.{leaf}"
    return f"{TOP[module]}.{leaf}" if module in TOP else theirs
