"""Keys and values of the tokens already read, so that generation reads each token once."""

from __future__ import annotations

import torch
from torch import Tensor

from bitnet.nn.shape import ModelShape


class LayerCache:
    """Keys and values of one layer, in space set aside at the start.

    Args:
        shape: ``(batch, key_value_heads, capacity, head_width)``.
        dtype: the model's compute dtype.
        device: where the model runs.
    """

    def __init__(
        self, shape: tuple[int, int, int, int], dtype: torch.dtype, device: torch.device
    ) -> None:
        self.keys_BHSK = torch.zeros(shape, dtype=dtype, device=device)
        self.values_BHSK = torch.zeros(shape, dtype=dtype, device=device)
        self.length = 0

    def append(self, keys_BHTK: Tensor, values_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Add T tokens; returns the keys and values of all tokens so far.

        Raises:
            ValueError: the cache has no room for them.
        """
        end = self.length + keys_BHTK.shape[2]
        capacity = self.keys_BHSK.shape[2]
        if end > capacity:
            raise ValueError(f"the cache holds {capacity} tokens, not {end}")
        self.keys_BHSK[:, :, self.length : end] = keys_BHTK
        self.values_BHSK[:, :, self.length : end] = values_BHTK
        self.length = end
        return self.keys_BHSK[:, :, :end], self.values_BHSK[:, :, :end]


class KVCache:
    """A :class:`LayerCache` a layer; for inference only, no gradient passes through it.

    Args:
        shape: of the model.
        batch: number of sequences.
        capacity: most tokens a sequence can have.
        dtype: the model's compute dtype.
        device: where the model runs.
    """

    def __init__(
        self,
        shape: ModelShape,
        batch: int,
        capacity: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        sizes = (batch, shape.key_value_heads, capacity, shape.head_width)
        where = torch.device(device)
        self.layers = [LayerCache(sizes, dtype, where) for _ in range(shape.layers)]

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return self.layers[0].length
