"""How one parameter travels when the shards of a block are put together.

FSDP2 gathers a parameter as it is, unless its shard is a tensor subclass that says otherwise: then
it gathers what ``fsdp_pre_all_gather`` returns, and ``fsdp_post_all_gather`` makes the whole
parameter of what arrived. :class:`TravellingShard` is that subclass. It holds an ordinary fp32
tensor, does whatever that tensor does, and leaves both questions to its :class:`Traveller`.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.utils._pytree import tree_map_only

_aten = torch.ops.aten
# What fully_shard cuts, pads, moves and registers a parameter with; the parts travel alike.
_PARTS = (
    _aten.alias.default,
    _aten.as_strided.default,
    _aten.clone.default,
    _aten.detach.default,
    _aten.new_zeros.default,
    _aten.slice.Tensor,
    _aten.split.Tensor,
    _aten.split_with_sizes.default,
    _aten.view.default,
    _aten._pin_memory.default,
    _aten._to_copy.default,
)


class Traveller(Protocol):
    """What is sent of a shard, and what is made of all that came."""

    def packed(self, shard: Tensor, rows: int) -> Tensor:
        """What this process sends: ``rows`` rows, further ones than its own filled up."""

    def unpacked(self, arrived: Tensor, whole: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Make the whole parameter of the rows of all processes.

        Args:
            arrived: the rows that were sent, and after them rows that only fill up.
            whole: the parameter that an earlier call made, to be filled again; ``None`` at first.

        Returns:
            The parameter, and the tensors whose memory FSDP2 is to free and to allocate again.
        """


class TravellingShard(Tensor):
    """A shard of a parameter that travels in another form than its own.

    Attributes:
        held: the ordinary tensor that holds the values.
        traveller: decides what is sent.
        whole_rows: of the whole parameter.
    """

    held: Tensor
    traveller: Traveller
    whole_rows: int

    @staticmethod
    def __new__(cls, held: Tensor, traveller: Traveller, rows: int) -> TravellingShard:
        """Take the size, dtype and device of ``held``."""
        made: TravellingShard = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=held.device,
            requires_grad=held.requires_grad,
        )
        return made

    def __init__(self, held: Tensor, traveller: Traveller, rows: int) -> None:
        self.held, self.traveller, self.whole_rows = held, traveller, rows

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]  # typed loosely by torch
        return f"TravellingShard({self.held!r})"

    def __tensor_flatten__(self) -> tuple[list[str], Any]:
        return ["held"], (self.traveller, self.whole_rows)

    @staticmethod
    def __tensor_unflatten__(
        held: dict[str, Tensor], context: Any, size: Any, stride: Any
    ) -> TravellingShard:
        return TravellingShard(held["held"], *context)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # typed by torch as if it had no class
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Do it with the ordinary tensors; parts of a shard are shards again."""
        plain_args, plain_kwargs = tree_map_only(
            TravellingShard, lambda shard: shard.held, (args, kwargs or {})
        )
        result = func(*plain_args, **plain_kwargs)
        if func in _PARTS and isinstance(args[0], TravellingShard):
            like = args[0]
            return tree_map_only(
                Tensor, lambda part: TravellingShard(part, like.traveller, like.whole_rows), result
            )
        writes = func._schema.is_mutable and isinstance(result, Tensor)
        return args[0] if writes and result is plain_args[0] else result

    def fsdp_pre_all_gather(self, mesh: DeviceMesh) -> tuple[tuple[Tensor, ...], None]:
        """FSDP2's question: what to gather of this shard."""
        rows = -(-self.whole_rows // mesh.size())
        with torch.no_grad():
            return (self.traveller.packed(self.held, rows),), None

    def fsdp_post_all_gather(
        self,
        all_gather_outputs: tuple[Tensor, ...],
        metadata: None,
        param_dtype: torch.dtype,
        *,
        out: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]] | None:
        """FSDP2's other question: what is the whole parameter."""
        with torch.no_grad():
            made = self.traveller.unpacked(all_gather_outputs[0], out)
        return made if out is None else None


class CastTraveller:
    """Sends the weight in the compute dtype, in which it is used; the whole one is fp32 again.

    Rounding to the compute dtype first and gathering then gives the product the operand that it
    would have had; the parameter stays fp32 for FSDP2, which reduces gradients of one dtype only.

    Args:
        rows: of the whole weight.
        dtype: to send it in.
    """

    def __init__(self, rows: int, dtype: torch.dtype) -> None:
        self.rows = rows
        self.dtype = dtype

    def packed(self, shard: Tensor, rows: int) -> Tensor:
        """The rows of this process, rounded."""
        if shard.shape[0] == rows:
            return shard.to(self.dtype)
        filled = shard.new_zeros((rows, *shard.shape[1:]), dtype=self.dtype)
        filled[: shard.shape[0]] = shard
        return filled

    def unpacked(self, arrived: Tensor, whole: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All rows in fp32."""
        if whole is None:
            whole = arrived[: self.rows].float()
        else:
            whole.data.copy_(arrived[: self.rows])  # .data: backward may have saved it
        return whole, (whole,)
