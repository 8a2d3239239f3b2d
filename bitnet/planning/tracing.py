"""What one micro-batch keeps in memory, found by running it where nothing is computed.

A model of one block and one of two take a forward and a backward pass on the meta device. All
blocks are equal, so the difference is what each further block keeps. No formula per family is
written down: whatever the blocks are made of, their own code says what is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from bitnet.nn import LinearSpec, ModelShape, PassSpec, Transformer
from bitnet.nn.recompute import by_block
from bitnet.planning.duration import PlanError
from bitnet.planning.kept import Kept, made_anew, with_blocks
from bitnet.planning.ledger import Ledger, Node
from bitnet.planning.light_meta import light_meta
from bitnet.planning.pretend import Pretend
from bitnet.planning.recompute import kept_when_compiled


@dataclass(frozen=True)
class Place:
    """Where and how a step runs: what decides which bytes are kept.

    Attributes:
        device: ``cuda`` or ``cpu``.
        dtype: of activations and products.
        compiled: blocks and head go through ``torch.compile``.
        micro_batch: sequences a pass.
        sequence_length: tokens a sequence.
        passes: what a pass makes anew, and how it makes its loss.
        page_pool: freed tensors leave nothing behind (CPU).
    """

    device: str
    dtype: torch.dtype
    compiled: bool
    micro_batch: int
    sequence_length: int
    passes: PassSpec = field(default_factory=PassSpec)
    page_pool: bool = True


def trace(shape: ModelShape, linear: LinearSpec, place: Place) -> Kept:
    """Bytes that a micro-batch keeps and needs, for the whole model.

    Raises:
        PlanError: what is kept where single operations are made anew is not known.
    """
    policies = by_block(place.passes.recompute, shape.layers)
    if "selective" in policies:
        raise PlanError(
            "batch.recompute: what 'selective' keeps cannot be planned; it lies between 'none' and "
            "'blocks' (valid here: none, blocks, every_N)"
        )
    plain = replace(place, passes=replace(place.passes, recompute="none"))
    with light_meta():
        one = _trace(replace(shape, layers=1), linear, plain)
        two = _trace(replace(shape, layers=2), linear, plain)
    kept = with_blocks(one, two, shape.layers)
    if "blocks" not in policies:
        return kept
    rows = place.micro_batch * place.sequence_length
    into = float(rows * shape.dim * place.dtype.itemsize)
    return made_anew(kept, one, two, policies.count("blocks"), shape.layers, into)


def meta_net(shape: ModelShape, linear: LinearSpec, place: Place) -> Transformer:
    """The model without memory."""
    with light_meta(), torch.device("meta"), Pretend(place.device):
        return Transformer(shape, linear, place.dtype)


def _trace(shape: ModelShape, linear: LinearSpec, place: Place) -> Kept:
    net = meta_net(shape, linear, place)
    net.set_passes(place.passes)
    if place.compiled and place.device == "cpu":
        net.choose_norms()
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
            loss, _ = net.loss(tokens[:, :-1], tokens[:, 1:])
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
        # Its norm comes first however the loss is made.
        net.head.norm.register_forward_pre_hook(self._enter_head)

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
