"""Memory of one device at the worst moment of a step, by kind.

A step has several moments that may be the worst: the head's backward, when all activations and the
logits are there; the last block's and the first block's backward, between which activations give
way to gradients; and the optimizer's own. Which is worst depends on the batch, so all are looked
at. Under DDP every device holds all of this, and the buckets in which gradients travel besides.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from bitnet.planning.kept import Kept

HEAP_SHARE = 0.27
"""Of what comes and goes in a step, the share that glibc keeps besides. Measured on tensors below
32 MB, which it takes from its heap: 0.1 to 0.5, see benchmarks/results/plan_check.md."""

MASTER_BYTES = GRADIENT_BYTES = 4  # fp32


@dataclass(frozen=True)
class Memory:
    """Bytes by kind at the worst moment.

    Attributes:
        masters: fp32 parameters.
        optimizer: the optimizer's state.
        gradients: fp32, as far as they exist at that moment.
        buckets: copies of them for all-reduce (more than one device).
        codes: int8 weights of quantised layers.
        activations: kept for backward.
        weight_copies: weights in the compute dtype, kept for backward.
        logits: kept for backward, tokens x vocabulary.
        temporary: what the work of that moment adds.
        moment: what is being done then.
        heap: freed blocks that the C library has not returned to the system (CPU, if tensors come
            from it).
    """

    masters: float
    optimizer: float
    gradients: float
    buckets: float
    codes: float
    activations: float
    weight_copies: float
    logits: float
    temporary: float
    moment: str
    heap: float = 0.0

    def by_kind(self) -> dict[str, float]:
        """Kind to bytes."""
        return {name: value for name, value in asdict(self).items() if name != "moment"}

    @property
    def total(self) -> float:
        """All kinds together."""
        return sum(self.by_kind().values())


@dataclass(frozen=True)
class Holdings:
    """What a device holds whatever it is doing, and how it steps.

    Attributes:
        parameters: number of parameters.
        head_parameters: of them, those whose gradients the head's backward makes.
        optimizer_bytes: of state, in all.
        optimizer_extra: bytes that the optimizer's own step adds for a while.
        devices: that hold a copy of the model.
        accumulates: more than one micro-batch a step: gradients are there all the time.
    """

    parameters: int
    head_parameters: int
    optimizer_bytes: float
    optimizer_extra: float
    devices: int
    accumulates: bool


def memory(kept: Kept, holds: Holdings) -> Memory:
    """The worst of a step's moments."""
    gradients = float(GRADIENT_BYTES * holds.parameters)
    early = gradients if holds.accumulates else 0.0
    after_head = max(early, float(GRADIENT_BYTES * holds.head_parameters))
    share = kept.block / kept.saved if kept.saved else 0.0
    one = (share * kept.activations, share * kept.weight_copies)
    all_kept = (kept.activations, kept.weight_copies)
    # moment, gradients, activations and weight copies, logits, temporary
    moments = [
        ("the head's backward", early, all_kept, kept.logits, kept.head_extra),
        ("the last block's backward", after_head, all_kept, 0.0, kept.block_extra),
        ("the first block's backward", gradients, one, 0.0, kept.block_extra),
        ("the embedding's backward", gradients, (0.0, 0.0), 0.0, kept.embedding_extra),
        ("the optimizer's step", gradients, (0.0, 0.0), 0.0, holds.optimizer_extra),
    ]
    name, held, (activations, copies), logits, temporary = max(
        moments, key=lambda each: each[1] + sum(each[2]) + each[3] + each[4]
    )
    return Memory(
        masters=float(MASTER_BYTES * holds.parameters),
        optimizer=holds.optimizer_bytes,
        gradients=held,
        buckets=gradients if holds.devices > 1 else 0.0,
        codes=kept.codes,
        activations=activations,
        weight_copies=copies,
        logits=logits,
        temporary=temporary,
        moment=name,
    )


def with_heap(needs: Memory) -> Memory:
    """``needs`` if the C library allocates, which keeps part of what is freed."""
    passing = needs.activations + needs.weight_copies + needs.logits + needs.temporary
    passing += needs.masters  # gradients of all parameters, which are of the same size
    return replace(needs, heap=HEAP_SHARE * passing)
