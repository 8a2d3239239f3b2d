"""One face for the models that can be asked: ours, and any causal one of Hugging Face's.

Both compute logits only where an answer stands: for a long prompt and a large vocabulary all the
others together would need gigabytes.
"""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import torch
from torch import Tensor, nn

from bitnet.nn import Transformer

_SAMPLED = 4096


class OwnModel:
    """A :class:`~bitnet.nn.Transformer`.

    Args:
        net: the model, on its device.
    """

    def __init__(self, net: Transformer) -> None:
        self.net = net.eval()

    @property
    def context(self) -> int | None:
        """Its longest sequence."""
        return self.net.shape.max_sequence_length

    def logits(self, tokens_BT: Tensor, keep_BK: Tensor) -> Tensor:
        """Logits in float32 `[B, K, V]` of the tokens after some places of each row."""
        device = self.net.embedding.weight.device
        rows_B1 = torch.arange(len(tokens_BT), device=device)[:, None]

        def only_kept(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (inputs[0][rows_B1, keep_BK.to(device)], *inputs[1:])

        hook = self.net.head.register_forward_pre_hook(only_kept)
        try:
            logits_BKV: Tensor = self.net(tokens_BT.to(device))
        finally:
            hook.remove()
        return logits_BKV


class HuggingFaceModel:
    """A model of `transformers` that predicts the next token.

    Args:
        model: the model, on its device.
    """

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        self._takes_places = "logits_to_keep" in inspect.signature(model.forward).parameters

    @property
    def context(self) -> int | None:
        """Its longest sequence, if its configuration names one."""
        longest = getattr(self.model.config, "max_position_embeddings", None)
        return int(longest) if longest else None

    def logits(self, tokens_BT: Tensor, keep_BK: Tensor) -> Tensor:
        """Logits in float32 `[B, K, V]` of the tokens after some places of each row."""
        device = self.model.device
        tokens_BT, keep_BK = tokens_BT.to(device), keep_BK.to(device)
        # Nothing is masked: padding lies behind every place that is looked at.
        given = {"input_ids": tokens_BT, "attention_mask": torch.ones_like(tokens_BT)}
        rows_B1 = torch.arange(len(tokens_BT), device=device)[:, None]
        if not self._takes_places:
            whole_BTV: Tensor = self.model(**given, use_cache=False).logits
            return whole_BTV[rows_B1, keep_BK].float()
        places, where_BK = keep_BK.unique(return_inverse=True)
        some_BPV: Tensor = self.model(**given, use_cache=False, logits_to_keep=places).logits
        return some_BPV[rows_B1, where_BK].float()


def model_fingerprint(model: nn.Module) -> str:
    """Digest of names, shapes and evenly spread values of all parameters.

    Any step of training changes it; the device, and where the files lie, do not.
    """
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        flat = parameter.detach().reshape(-1)
        some = flat[:: max(1, flat.numel() // _SAMPLED)].float().cpu()
        digest.update(f"{name} {tuple(parameter.shape)}".encode())
        digest.update(some.numpy().tobytes())
    return digest.hexdigest()[:16]
