"""Who holds how many bytes while a step is traced: every storage, who made it and when it dies.

Two ledgers are kept at once. The first is the eager one: every result of every operation is a
tensor in memory until nobody refers to it. The second is the compiled one, in which pointwise work
is fused away: only results of matrix products, attention and kernels of our own, and what those
read, are ever in memory.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.weak import WeakIdKeyDictionary

_OPAQUE = (
    "mm",
    "bmm",
    "addmm",
    "baddbmm",
    "_int_mm",
    "scaled_products",
    "scaled_product_through",
    "input_gradient",
    "weight_gradient",
    "_scaled_dot_product_flash_attention_for_cpu",
    "gated_norm",
    "gated_norm_gradient",
    "norm_gradient",
)
"""Operations that a compiler does not look into: matrix products, attention, kernels of ours."""


@dataclass(eq=False)
class Node:
    """A storage that an operation made.

    Attributes:
        bytes: its size.
        parents: what it was computed from.
        anchor: it cannot be computed again by pointwise work (a product, a reduction, an input of
            a compiled region).
        operand: a product whose backward needs it as it is reads it.
        of_weights: computed from parameters and buffers alone.
        materialised: it is in memory even when compiled.
        width: size of its last dimension.
    """

    bytes: int
    parents: list[Node] = field(default_factory=list)
    anchor: bool = False
    operand: bool = False
    of_weights: bool = False
    materialised: bool = False
    width: int = 0


class Ledger(TorchDispatchMode):
    """Follows storages while it is active.

    Attributes:
        live: bytes alive now, ``[eager, compiled]``.
        peak: most bytes alive since the last :meth:`mark`, likewise.

    Args:
        weights: parameters and buffers: there before, and no node of their own.
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = [0, 0]
        self.peak = [0, 0]
        self._nodes = WeakIdKeyDictionary()
        for tensor in weights:
            self._nodes[tensor.untyped_storage()] = Node(0, of_weights=True)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch would wrap this class for its compiler, and import all of that (a second) to do so.
        return False

    def node(self, tensor: Tensor) -> Node:
        """The node of a tensor's storage; one that nothing made here is an anchor."""
        storage = tensor.untyped_storage()
        if storage not in self._nodes:
            self._add(tensor, Node(storage.nbytes(), anchor=True, materialised=True))
        found: Node = self._nodes[storage]
        return found

    def mark(self) -> tuple[list[int], list[int]]:
        """Live and peak bytes up to here; the peak starts anew."""
        seen = list(self.live), list(self.peak)
        self.peak = list(self.live)
        return seen

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operation and note what it made from what."""
        result = func(*args, **(kwargs or {}))
        inputs = [each for each in tree_iter((args, kwargs)) if isinstance(each, Tensor)]
        parents = [self.node(each) for each in inputs]
        name = func.overloadpacket.__name__
        opaque = name in _OPAQUE
        if opaque:
            for tensor, parent in zip(inputs, parents, strict=True):
                parent.operand |= tensor.is_floating_point()
                self.materialise(parent)
        largest = max((each.numel() for each in inputs), default=0)
        for output in tree_iter(result):
            if isinstance(output, Tensor) and output.untyped_storage() not in self._nodes:
                self._make(output, parents, opaque or output.numel() < largest)
        return result

    def _make(self, tensor: Tensor, parents: list[Node], anchor: bool) -> None:
        from_weights = bool(parents) and all(parent.of_weights for parent in parents)
        node = Node(tensor.untyped_storage().nbytes(), parents, anchor and not from_weights)
        node.of_weights = from_weights
        node.materialised = anchor
        self._add(tensor, node)

    def _add(self, tensor: Tensor, node: Node) -> None:
        node.width = tensor.shape[-1] if tensor.ndim else 1
        storage = tensor.untyped_storage()
        self._nodes[storage] = node
        weakref.finalize(storage, self._free, node)
        self._count(node, 1, (True, node.materialised))

    def materialise(self, node: Node) -> None:
        """Note that a compiled pass has this in memory, too."""
        if not node.materialised:
            node.materialised = True
            self._count(node, 1, (False, True))

    def _free(self, node: Node) -> None:
        self._count(node, -1, (True, node.materialised))

    def _count(self, node: Node, sign: int, which: tuple[bool, bool]) -> None:
        for i in range(2):
            self.live[i] += sign * node.bytes * which[i]
            self.peak[i] = max(self.peak[i], self.live[i])
