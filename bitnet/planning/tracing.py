"""What one micro-batch keeps in memory, found by running it where nothing is computed.

A model of one block and one of two take a forward and a backward pass on the meta device. All
blocks are equal, so the difference is what each further block keeps. No formula per family is
written down: whatever the blocks are made of, their own code says what is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.planning.ledger import Ledger, Node
from bitnet.planning.light_meta import light_meta
from bitnet.planning.pretend import Pretend
from bitnet.planning.recompute import kept_when_compiled


@dataclass(frozen=True)
class Kept:
    """Bytes of one micro-batch on one device, for a number of blocks.

    Attributes:
        activations: kept for backward that grow with the batch, logits left out.
        logits: of them, as wide as the vocabulary.
        weight_copies: weights in the compute dtype, kept for backward.
        block: of all three, what one block keeps.
        head_extra: most that the head's own forward and backward add at once.
        block_extra: most that the backward of one block adds at once, its gradients included.
        embedding_extra: likewise of the embedding, whose backward comes last.
        codes: quantised weights, which live as long as the model.
    """

    activations: float
    logits: float
    weight_copies: float
    block: float
    head_extra: float
    block_extra: float
    embedding_extra: float
    codes: float

    @property
    def saved(self) -> float:
        """All that is kept for backward."""
        return self.activations + self.logits + self.weight_copies


def _with_blocks(one: Kept, two: Kept, blocks: int) -> Kept:
    """What ``blocks`` blocks keep, from what one and two keep."""
    grown = {
        name: getattr(one, name) + (blocks - 1) * (getattr(two, name) - getattr(one, name))
        for name in ("activations", "logits", "weight_copies", "codes")
    }
    return replace(one, **grown, block=two.saved - one.saved)


@dataclass(frozen=True)
class Place:
    """Where and how a step runs: what decides which bytes are kept.

    Attributes:
        device: ``cuda`` or ``cpu``.
        dtype: of activations and products.
        compiled: blocks and head go through ``torch.compile``.
        micro_batch: sequences a pass.
        sequence_length: tokens a sequence.
    """

    device: str
    dtype: torch.dtype
    compiled: bool
    micro_batch: int
    sequence_length: int


def trace(shape: ModelShape, linear: LinearSpec, place: Place) -> Kept:
    """Bytes that a micro-batch keeps and needs, for the whole model."""
    with light_meta():
        one = _trace(replace(shape, layers=1), linear, place)
        two = _trace(replace(shape, layers=2), linear, place)
    return _with_blocks(one, two, shape.layers)


def meta_net(shape: ModelShape, linear: LinearSpec, place: Place) -> Transformer:
    """The model without memory."""
    with light_meta(), torch.device("meta"), Pretend(place.device):
        return Transformer(shape, linear, place.dtype)


def _trace(shape: ModelShape, linear: LinearSpec, place: Place) -> Kept:
    net = meta_net(shape, linear, place)
    ledger = Ledger([*net.parameters(), *net.buffers()])
    saved: list[Node] = []

    def save(tensor: Tensor) -> Tensor:
        saved.append(ledger.node(tensor))
        return tensor

    phases = _Phases(net, ledger)
    tokens = torch.zeros(
        place.micro_batch, place.sequence_length + 1, dtype=torch.int64, device="meta"
    )
    with Pretend(place.device, place.compiled), ledger:
        with saved_tensors_hooks(save, lambda tensor: tensor):
            loss = net.nll(tokens[:, :-1], tokens[:, 1:]).mean()
        codes = {id(ledger.node(each)): each for each in net.buffers()}
        needed = list({id(node): node for node in saved if id(node) not in codes}.values())
        kept = kept_when_compiled(needed) if place.compiled else needed
        loss.backward()
    head, block, embedding = phases.extras(place.compiled)
    return Kept(
        activations=_sum(n for n in kept if not n.of_weights and n.width != shape.vocab_size),
        logits=_sum(n for n in kept if not n.of_weights and n.width == shape.vocab_size),
        weight_copies=_sum(n for n in kept if n.of_weights),
        block=0.0,
        head_extra=head,
        block_extra=block,
        embedding_extra=embedding,
        codes=float(sum(each.nbytes for each in codes.values())),
    )


class _Phases:
    """Marks on the ledger at the borders of head and blocks, forward and backward.

    What enters a block or the head is an anchor: each is compiled by itself.
    """

    def __init__(self, net: Transformer, ledger: Ledger) -> None:
        self.ledger = ledger
        self._live: list[list[int]] = []  # at the head's begin, the head's end, the blocks' end
        self._peaks: list[list[int]] = []  # before each of these
        for block in net.blocks:
            block.register_forward_pre_hook(self._enter_block)
        net.head.register_forward_pre_hook(self._enter_head)

    def extras(self, compiled: bool) -> tuple[float, float, float]:
        """Most bytes added by the head, by the blocks and by what comes after them."""
        which, peaks = int(compiled), [*self._peaks[1:], self.ledger.peak]
        head, block, embedding = (
            float(peak[which] - live[which]) for peak, live in zip(peaks, self._live, strict=True)
        )
        return head, block, embedding

    def _enter_block(self, block: Any, args: tuple[Any, ...]) -> None:
        self._anchor(args[0])
        if not self._live:  # the first block is the last whose backward ends
            self._live.append([0, 0])
            args[0].register_hook(self._mark)

    def _enter_head(self, head: Any, args: tuple[Any, ...]) -> None:
        self._anchor(args[0])
        self._live, self._peaks = [], []
        self._mark()
        args[0].register_hook(self._mark)

    def _mark(self, _: Tensor | None = None) -> None:
        live, peak = self.ledger.mark()
        self._live.append(live)
        self._peaks.append(peak)

    def _anchor(self, tensor: Tensor) -> None:
        node = self.ledger.node(tensor)
        node.anchor = True
        self.ledger.materialise(node)


def _sum(nodes: Iterator[Node]) -> float:
    return float(sum(node.bytes for node in nodes))
