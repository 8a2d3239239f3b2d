"""Codes of sharded ternary weights: made where the masters are, once an optimizer step.

The scale of a weight is ``mean|W|`` of the whole of it, so processes add up their shares, for all
layers in one all-reduce of a few numbers. Each then rounds its own rows and keeps them packed,
until the masters change. Sums are taken in fp64: then the scale hardly ever depends on how many
processes there are, and agrees with that of one process to the last bit or the one before.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from bitnet.nn.bit_linear import BitLinear
from bitnet.nn.row_codes import (
    codes_of_rows,
    pack_rows,
    packed_width,
    scales_of,
    unpack_rows,
)
from bitnet.training.strategies.travel import TravellingShard


class ShardedCodes:
    """The packed codes of this process's rows of every quantised weight.

    Args:
        layers: all quantised layers of the model, the same on every process.
        mesh: of the processes that share the weights; one dimension.
    """

    def __init__(self, layers: Sequence[BitLinear], mesh: DeviceMesh) -> None:
        self.layers = list(layers)
        self.mesh = mesh
        self._shards: list[DTensor] = []
        self._packed: list[Tensor] = []
        self._stale = True
        me = weakref.ref(self)

        def stepped(*_: Any) -> None:
            codes = me()
            if codes is not None:
                codes.mark_stale()

        self._hook = register_optimizer_step_post_hook(stepped)
        weakref.finalize(self, self._hook.remove)

    def adopt(self) -> None:
        """Take over the parameters that fully_shard has made of the layers' weights."""
        self._shards = []
        for layer in self.layers:
            assert isinstance(layer.weight, DTensor)
            self._shards.append(layer.weight)
        device = self._rows(0).device if self.layers else torch.device("cpu")
        for layer in self.layers:
            layer.scale = torch.zeros((), device=device)
        self._packed = [self._empty(layer, device) for layer in self.layers]
        self._stale = True

    def mark_stale(self) -> None:
        """The masters were written; the next gathering makes the codes anew."""
        self._stale = True

    def packed(self, place: int) -> Tensor:
        """Packed rows of a layer, uint8 ``[ceil(out / processes), ceil(in / 4)]``.

        A collective after the masters were written.
        """
        if self._stale:
            self._make()
            self._stale = False
        return self._packed[place]

    def _make(self) -> None:
        """Scales of all layers, then the codes of this process's rows."""
        scales, means = self._statistics()
        for place, layer in enumerate(self.layers):
            rows = self._rows(place)
            layer.scale.data.copy_(scales[place])  # .data: a graph may have saved it
            codes = codes_of_rows(rows, layer.kind, layer.scale, means[place])
            pack_rows(codes, self._packed[place])

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """``mean|W|``, at least the smallest scale, and ``mean W`` of every layer, fp32."""
        parts = []
        for place in range(len(self.layers)):
            rows = self._rows(place)
            size = torch.linalg.vector_norm(rows, ord=1, dtype=torch.float64)
            parts.append(torch.stack([size, rows.sum(dtype=torch.float64)]))
        sums = torch.stack(parts)
        dist.all_reduce(sums, group=self.mesh.get_group())
        counts = [layer.weight.numel() for layer in self.layers]
        means = sums / torch.tensor(counts, device=sums.device)[:, None]
        return scales_of(means[:, 0]), means[:, 1].float()

    def _rows(self, place: int) -> Tensor:
        """The ordinary tensor of this process's rows of a master."""
        with torch.no_grad():
            shard = self._shards[place].to_local()
        assert isinstance(shard, TravellingShard)
        return shard.held

    def _empty(self, layer: BitLinear, device: torch.device) -> Tensor:
        out_features, in_features = layer.weight.shape
        rows = -(-out_features // self.mesh.size())
        return torch.zeros(rows, packed_width(in_features), dtype=torch.uint8, device=device)


class CodeTraveller:
    """Sends packed codes; what arrives are the layer's codes, and a weight without values.

    The engines that compute with codes never read the weight: it is there to receive the gradient.

    Args:
        layer: whose weight travels.
        codes: of all layers.
        place: of the layer among them.
    """

    def __init__(self, layer: BitLinear, codes: ShardedCodes, place: int) -> None:
        self.layer = layer
        self.codes = codes
        self.place = place
        self.shape = (layer.weight.shape[0], layer.weight.shape[1])

    def packed(self, shard: Tensor, rows: int) -> Tensor:
        """The packed rows of this process."""
        return self.codes.packed(self.place)

    def unpacked(self, arrived: Tensor, whole: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Lay the codes into the layer; the weight is made once, of no values."""
        if whole is None:
            whole = arrived.new_empty(self.shape, dtype=torch.float32)
            self.layer.codes = self._room(arrived)
        codes = self.layer.codes.data  # .data: backward may have saved them
        if arrived.device.type == "cpu":
            codes.copy_(arrived[: len(codes)])
        else:
            unpack_rows(arrived, codes)
        return whole, (self.layer.codes,)

    def _room(self, arrived: Tensor) -> Tensor:
        """Memory for the codes in the form of :func:`bitnet.quant.held_codes`."""
        out_features, in_features = self.shape
        if arrived.device.type == "cpu":
            return arrived.new_empty(out_features, packed_width(in_features))
        return arrived.new_empty(self.shape, dtype=torch.int8)
