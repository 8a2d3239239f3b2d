"""A plan on the terminal, in one screen, and as JSON for machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bitnet.planning import Plan
from bitnet.runs.human import duration, short

_GIB = 2**30
_KINDS = {
    "masters": "master weights, fp32",
    "optimizer": "optimizer state",
    "gradients": "gradients, fp32",
    "buckets": "gradient buckets (DDP)",
    "codes": "quantised codes",
    "activations": "activations",
    "weight_copies": "weights in compute dtype",
    "logits": "logits",
    "temporary": "temporary",
    "heap": "kept by malloc",
}


def print_plan(console: Console, plan: Plan, name: str, notes: list[str]) -> None:
    """Everything that matters, most important last."""
    for note in notes:
        _line(console, f"[yellow]{note}[/]")
    request = plan.request
    how = "compiled" if request.place.compiled else "eager"
    _line(
        console,
        f"[bold]{name}[/] on {request.devices} x {request.device.name}, {request.compute}, {how}",
    )
    console.print(_facts(plan))
    _line(console, f"\n[bold]memory[/] of a device at its fullest, {plan.memory.moment}")
    console.print(_memory(plan))
    if plan.epochs:
        _line(console, "[bold]data[/]")
        console.print(_sources(plan))
        for warning in source_warnings(plan):
            _line(console, f"[yellow]{warning}[/]")
    colour = "red" if plan.limit.fits is False else "green"
    _line(console, f"[{colour}]{plan.limit.sentence}[/]")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _facts(plan: Plan) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    for title, text in (
        ("parameters", _parameters(plan)),
        ("weights", f"{_bytes(plan.dense_bytes)} in bf16, {_bytes(plan.packed_bytes)} packed"),
        ("a token", _work(plan)),
        ("a step", _step(plan)),
        ("the run", _run(plan)),
        ("time", _time(plan)),
        ("checkpoints", _disk(plan)),
    ):
        table.add_row(title, text)
    return table


def _parameters(plan: Plan) -> str:
    counts = plan.parameters
    linear = plan.request.linear
    binary = "binary" in (linear.kind, linear.stage.kind if linear.kind == "stage" else "")
    parts = [f"{short(counts['embedding'])} embedding", f"{short(counts['other'])} other"]
    if counts["ternary"]:
        parts.insert(0, f"{short(counts['ternary'])} {'binary' if binary else 'ternary'}")
    return f"{counts['total']:,}: {', '.join(parts)}"


def _work(plan: Plan) -> str:
    work = plan.work
    shares = ", ".join(
        f"{name} {getattr(work, name) / work.total:.0%}"
        for name in ("matrices", "attention", "head")
    )
    return f"{_flop(work.total)} ({_flop(work.forward)} forward): {shares}"


def _step(plan: Plan) -> str:
    request, place = plan.request, plan.request.place
    passes = request.passes(place.micro_batch)
    return (
        f"{request.batch} x {place.sequence_length} = {request.tokens_per_step:,} tokens, "
        f"{_flop(plan.work.total * request.tokens_per_step)}; a device makes {passes} "
        f"pass{'es' if passes > 1 else ''} of {place.micro_batch}"
    )


def _run(plan: Plan) -> str:
    request = plan.request
    total = plan.work.total * request.tokens
    return f"{request.steps:,} steps, {short(request.tokens)} tokens, {_flop(total)}"


def _time(plan: Plan) -> str:
    takes, request = plan.duration, plan.request
    if takes.hours is None or takes.device_hours is None:
        device = f"{request.device.name} in {request.compute}"
        return f"unknown: no peak of {device} is published; give tokens_per_second="
    speed = f"{short(takes.tokens_per_second or 0)} tokens/s"
    if takes.mfu is not None:
        speed += f" at MFU {takes.mfu:.0%}, {takes.mfu_from}"
    price = request.pace.price
    money = "" if takes.money is None else f", {takes.money:,.0f} at {price:g} each"
    return (
        f"{duration(takes.hours * 3600)}, {takes.device_hours:,.1f} device-hours{money} ({speed}"
        f"{'; mfu= or tokens_per_second= to say better' if takes.mfu_from == 'assumed' else ''})"
    )


def _disk(plan: Plan) -> str:
    disk = plan.disk
    return f"{_bytes(disk.one)} each, {disk.kept} kept: {_bytes(disk.total)}"


def _memory(plan: Plan) -> Table:
    needs, device = plan.memory, plan.request.device
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("kind")
    table.add_column("GiB", justify="right")
    table.add_column("share", justify="right")
    for name, size in needs.by_kind().items():
        if size > 0:
            table.add_row(_KINDS[name], f"{size / _GIB:.2f}", f"{size / needs.total:.0%}")
    table.add_section()
    there = f" of {device.memory / _GIB:.1f}" if device.memory else ""
    table.add_row("total", f"{needs.total / _GIB:.2f}", there)
    return table


def _sources(plan: Plan) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("source", "share", "tokens", "there are", "epochs"):
        table.add_column(column, justify="left" if column == "source" else "right")
    request = plan.request
    for name, epochs in plan.epochs.items():
        share = request.mix[name]
        there = short(request.published[name]) if name in request.published else "?"
        passes = "?" if epochs is None else f"{epochs:.2f}"
        table.add_row(name, f"{share:.1%}", short(share * request.tokens), there, passes)
    return table


def source_warnings(plan: Plan) -> list[str]:
    """Sources read more than once, and sources of unknown size."""
    repeated = [f"{name} {n:.2f}" for name, n in plan.epochs.items() if n is not None and n > 1]
    unknown = [name for name, epochs in plan.epochs.items() if epochs is None]
    found = []
    if repeated:
        found.append(f"Read more than once: {', '.join(repeated)} times.")
    if unknown:
        which = "all sources" if len(unknown) == len(plan.epochs) else ", ".join(unknown)
        found.append(
            f"Size unknown: {which}. bitnet data inspect counts; "
            "data.published_tokens takes the answer."
        )
    return found


def as_json(plan: Plan, name: str, notes: list[str]) -> dict[str, Any]:
    """The plan as plain values: bytes, operations, seconds and counts."""
    request = plan.request
    return {
        "name": name,
        "notes": notes,
        "device": {**asdict(request.device), "count": request.devices},
        "compute": request.compute,
        "compiled": request.place.compiled,
        "parameters": plan.parameters,
        "weights_bytes": {"bf16": plan.dense_bytes, "packed": plan.packed_bytes},
        "flops_per_token": {
            **asdict(plan.work),
            "forward": plan.work.forward,
            "backward": plan.work.backward,
            "total": plan.work.total,
        },
        "tokens": request.tokens,
        "tokens_per_step": request.tokens_per_step,
        "micro_batch": request.place.micro_batch,
        "steps": request.steps,
        "flops": plan.work.total * request.tokens,
        "memory_bytes": {
            **plan.memory.by_kind(),
            "total": plan.memory.total,
            "moment": plan.memory.moment,
        },
        "time": asdict(plan.duration),
        "checkpoints": asdict(plan.disk),
        "epochs": plan.epochs,
        "warnings": source_warnings(plan),
        "limit": asdict(plan.limit),
    }


def _bytes(size: float) -> str:
    """As a disk's maker counts: 1e9 bytes to a GB."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size / 1e3:.3g} kB"


def _flop(operations: float) -> str:
    """With the prefix that fits; beyond the usual ones a power of ten."""
    for unit, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if unit <= operations < 1000 * unit:
            return f"{operations / unit:.3g} {prefix}FLOP"
    return f"{operations:.2e} FLOP"
