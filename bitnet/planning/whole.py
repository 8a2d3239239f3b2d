"""The plan of a run: everything that can be known before it starts, from its sizes alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.planning.devices import Device
from bitnet.planning.duration import Duration, Pace, duration
from bitnet.planning.limits import LIBRARIES_BYTES, Limit, find_limit, step_time
from bitnet.planning.memory import MASTER_BYTES, Holdings, Memory, memory, with_heap
from bitnet.planning.tracing import Place, meta_net, trace
from bitnet.planning.work import Work, work_per_token


@dataclass(frozen=True)
class OptimizerCost:
    """What an optimizer keeps, as bytes a parameter, and adds for a while when it steps.

    Attributes:
        name: of its kind.
        hidden: bytes of state for a parameter of the matrices inside the blocks.
        other: bytes of state for any other parameter.
        extra: bytes a parameter that a step needs besides.
    """

    name: str
    hidden: float
    other: float
    extra: float = 0.0


@dataclass(frozen=True)
class Request:
    """What is to be planned.

    Attributes:
        shape: of the model, its vocabulary filled in.
        linear: what it is made of.
        place: device kind, dtype, compilation and micro-batch.
        device: that runs it.
        devices: how many; each holds the whole model.
        tokens: the budget.
        batch: sequences an optimizer step, over all devices.
        optimizer: what it keeps.
        pace: speed and price, as far as they are given.
        checkpoints: that are kept (``None``: all), and how often one is written, in tokens.
        every_tokens: tokens between checkpoints; 0: only the last.
        mix: source to share of the tokens.
        published: source to tokens, where its makers say.
    """

    shape: ModelShape
    linear: LinearSpec
    place: Place
    device: Device
    devices: int
    tokens: int
    batch: int
    optimizer: OptimizerCost
    pace: Pace = field(default_factory=Pace)
    checkpoints: int | None = None
    every_tokens: int = 0
    mix: dict[str, float] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)

    @property
    def compute(self) -> str:
        """``bf16`` or ``fp32``."""
        return "bf16" if self.place.dtype.itemsize == 2 else "fp32"

    @property
    def tokens_per_step(self) -> int:
        """Of an optimizer step, over all devices."""
        return self.batch * self.place.sequence_length

    def passes(self, micro_batch: int) -> int:
        """Micro-batches of a device in one optimizer step."""
        return max(1, self.batch // (self.devices * micro_batch))

    @property
    def steps(self) -> int:
        """Optimizer steps of the run."""
        return -(-self.tokens // self.tokens_per_step)


@dataclass(frozen=True)
class Disk:
    """Checkpoints: bytes of one, how many stay, and bytes of all."""

    one: float
    kept: int
    total: float


@dataclass(frozen=True)
class Plan:
    """What a run needs.

    Attributes:
        parameters: ``total``, ``ternary``, ``embedding``, ``other``.
        dense_bytes: of the weights in bf16.
        packed_bytes: of the weights with the quantised ones in 2 bits (1 bit if binary).
        work: operations of one token.
        memory: of one device.
        duration: time and money.
        disk: of checkpoints.
        epochs: source to passes over it; ``None``: nobody says how much there is.
        limit: what limits the run.
    """

    request: Request
    parameters: dict[str, int]
    dense_bytes: float
    packed_bytes: float
    work: Work
    memory: Memory
    duration: Duration
    disk: Disk
    epochs: dict[str, float | None]
    limit: Limit


def make_plan(request: Request) -> Plan:
    """Work it all out; nothing is allocated.

    Raises:
        PlanError: the speed that is asked for is more than the devices can do.
    """
    net = meta_net(request.shape, request.linear, request.place)
    counts = net.parameter_counts()
    work = work_per_token(net, request.place.sequence_length)
    takes = duration(
        request.pace, request.device, request.devices, request.compute, work.total, request.tokens
    )
    holds = _holdings(request, net, counts["total"])
    needs = memory_of(request, holds)
    flops = work.total * request.tokens_per_step / request.devices
    passes = request.passes(request.place.micro_batch)
    time = step_time(request.device, request.compute, flops, counts["total"], needs, passes)
    return Plan(
        request=request,
        parameters=counts,
        dense_bytes=2.0 * counts["total"],
        packed_bytes=_packed(request, counts),
        work=work,
        memory=needs,
        duration=takes,
        disk=_disk(request, counts, holds),
        epochs=_epochs(request),
        limit=find_limit(needs, request.device, time, _remedy(request, holds, needs)),
    )


def memory_of(request: Request, holds: Holdings) -> Memory:
    """Memory of one device at the micro-batch of ``request``."""
    needs = memory(trace(request.shape, request.linear, request.place), holds)
    heap = request.place.device == "cpu" and not request.place.page_pool
    return with_heap(needs) if heap else needs


def _holdings(request: Request, net: Transformer, parameters: int) -> Holdings:
    cost, hidden = request.optimizer, 0
    if cost.hidden != cost.other:
        hidden = sum(each.numel() for each in net.hidden_matrices().values())
    return Holdings(
        parameters=parameters,
        head_parameters=request.shape.vocabulary * request.shape.table_width,
        optimizer_bytes=cost.hidden * hidden + cost.other * (parameters - hidden),
        optimizer_extra=cost.extra * parameters,
        devices=request.devices,
        accumulates=request.passes(request.place.micro_batch) > 1,
    )


def _remedy(request: Request, holds: Holdings, needs: Memory) -> str:
    """The largest micro-batch that fits, if a smaller one does."""
    room = request.device.memory - LIBRARIES_BYTES
    if not request.device.memory or needs.total <= room:
        return ""
    share, now = request.batch // request.devices, request.place.micro_batch
    for micro in (each for each in range(now - 1, 0, -1) if share % each == 0):
        # Nothing shrinks faster than in proportion, so a guess says which are worth a look.
        fixed = needs.masters + needs.optimizer + needs.buckets + needs.codes
        if fixed + (needs.total - fixed) * micro / now > room:
            continue
        smaller = replace(request, place=replace(request.place, micro_batch=micro))
        if memory_of(smaller, replace(holds, accumulates=share > micro)).total <= room:
            return f"Try batch.micro={micro}."
    if request.place.compiled:
        return "No batch.micro fits: it takes a smaller model or a device with more memory."
    return "No batch.micro fits uncompiled: try compile=auto, a smaller model or a larger device."


def _packed(request: Request, counts: dict[str, int]) -> float:
    """Quantised weights at 2 bits (binary: 1), the rest in bf16."""
    spec = request.linear
    kind = spec.stage.kind if spec.kind == "stage" else spec.kind
    bits = 1 if kind == "binary" else 2
    return counts["ternary"] * bits / 8 + 2.0 * (counts["total"] - counts["ternary"])


def _disk(request: Request, counts: dict[str, int], holds: Holdings) -> Disk:
    """Masters, optimizer state, and the ternary monitor's last look at 2 bits a weight."""
    one = MASTER_BYTES * counts["total"] + holds.optimizer_bytes + counts["ternary"] / 4
    every = request.every_tokens
    written = max(1, -(-request.steps * request.tokens_per_step // every)) if every else 1
    kept = written if request.checkpoints is None else min(request.checkpoints, written)
    return Disk(one, kept, one * kept)


def _epochs(request: Request) -> dict[str, float | None]:
    """Passes over each source, ``share * tokens / size``."""
    return {
        name: share * request.tokens / request.published[name]
        if name in request.published
        else None
        for name, share in request.mix.items()
        if share > 0
    }
