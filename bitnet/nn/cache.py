"""Keys and values of the tokens already read, so that generation reads each token once."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerCache:
    """Keys and values of one attention, in space set aside at the start.

    Args:
        keys_BHTK: keys like those to come: heads, widths, dtype and device are taken from them.
        capacity: most tokens a sequence can have.
    """

    def __init__(self, keys_BHTK: Tensor, capacity: int) -> None:
        batch, heads, _, width = keys_BHTK.shape
        shape = (batch, heads, capacity, width)
        self.keys_BHSK = torch.zeros(shape, dtype=keys_BHTK.dtype, device=keys_BHTK.device)
        self.values_BHSK = torch.zeros_like(self.keys_BHSK)
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
    """A :class:`LayerCache` for each attention of a model, those inside stage layers included.

    Each is made when its attention first appends to it. For inference only: no gradient passes.

    Attributes:
        documents_BS: the document of each token read so far; ``None``: nobody counts them.

    Args:
        capacity: most tokens a sequence can have.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.documents_BS: Tensor | None = None
        self._layers: dict[nn.Module, LayerCache] = {}

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return max((layer.length for layer in self._layers.values()), default=0)

    def append(
        self, owner: nn.Module, keys_BHTK: Tensor, values_BHTK: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Add T tokens to what ``owner`` has read; returns all its keys and values so far."""
        if owner not in self._layers:
            self._layers[owner] = LayerCache(keys_BHTK, self.capacity)
        return self._layers[owner].append(keys_BHTK, values_BHTK)
