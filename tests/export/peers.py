"""Small random models of Hugging Face's, saved as anybody's would be."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bitnet.nn import ModelShape

SIZES: dict[str, Any] = {
    "vocab_size": 101,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 128,
}


def shape(**changed: Any) -> ModelShape:
    """Our shape of a model of :data:`SIZES`."""
    same = {"dim": 64, "layers": 2, "heads": 4, "kv_heads": 2, "ffn_dim": 96, "vocab_size": 101}
    return ModelShape(
        **{**same, "sub_norm": False, "tie_embeddings": False, "norm_eps": 1e-5, **changed}
    )


def save_peer(folder: Path, kind: str = "Llama", shards: str = "1GB", **changed: Any) -> nn.Module:
    """Save a random ``<kind>ForCausalLM`` into ``folder``.

    Args:
        folder: where.
        kind: of model.
        shards: largest size of a file.
        changed: values of its config; ``dtype`` is that of the stored weights.
    """
    import transformers

    dtype = changed.pop("dtype", torch.float32)
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, **changed})
    model: nn.Module = getattr(transformers, f"{kind}ForCausalLM")(config)
    for parameter in model.parameters():
        if parameter.ndim == 1:  # gains of 1 and biases of 0 would hide a misplaced one
            nn.init.uniform_(parameter, 0.5, 1.5)
        else:
            nn.init.normal_(parameter, std=0.1)
    deepcopy(model).to(dtype).save_pretrained(folder, max_shard_size=shards)  # type: ignore[operator]
    for parameter in model.parameters():  # rounded likewise; its tables of angles stay fp32
        parameter.data = parameter.data.to(dtype).float()
    return model.eval()
