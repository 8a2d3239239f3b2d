"""From what was measured to the rows of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.train.measure import Measured
from benchmarks.train.roster import CONTENDERS, DENSE
from benchmarks.train.shapes import Shape

MFU_FORMULA = (
    "operations of a step / (seconds * peak of dense bf16 products); operations = tokens * 3 * "
    "(2 * matrices and head + 2 * heads * head_width * length an attention), the same for every "
    "contender whatever its formats"
)


def rows_of(
    shape: Shape, names: Sequence[str], found: Mapping[str, Measured], peak: float | None
) -> list[dict[str, Any]]:
    """A row for each contender, the dense twin first.

    Keys: shape, contender, kind, compute, compiled; milliseconds (median), fastest_milliseconds,
    ratio_to_dense (median over rounds of the ratios within a round), tokens_per_second,
    peak_bytes, peak_to_dense, tensor_bytes, tensors_to_dense, mfu (see ``MFU_FORMULA``; absent
    without a peak), compile_seconds, page_faults (of a step); and ``note`` where something has to
    be known. One that did not run has only its names and the note.

    Args:
        shape: what was trained.
        names: of contenders.
        found: what became of each.
        peak: FLOP/s of bf16 products; ``None``: unknown.
    """
    order = [DENSE, *(name for name in names if name != DENSE)]
    return [_row(shape, name, found, peak) for name in order]


def _row(
    shape: Shape, name: str, found: Mapping[str, Measured], peak: float | None
) -> dict[str, Any]:
    own, contender = found[name], CONTENDERS[name]
    row = {"shape": shape.label, "contender": name, "kind": contender.kind}
    if "error" in own.facts or not own.seconds:
        return row | {"note": own.facts.get("error", "no step was timed")}
    row |= {"compute": str(contender.compute).removeprefix("torch.")}
    row |= {"compiled": own.facts["compiled"]} | _times(shape, own, peak)
    row |= {
        "peak_bytes": own.facts["peak_bytes"],
        "tensor_bytes": own.facts["tensor_bytes"],
        "compile_seconds": round(own.facts["compile_seconds"], 1),
        "page_faults": own.facts["page_faults"],
    }
    for key, ratio in (("peak_bytes", "peak_to_dense"), ("tensor_bytes", "tensors_to_dense")):
        if key in found[DENSE].facts:
            row[ratio] = round(own.facts[key] / max(found[DENSE].facts[key], 1), 3)
    return row | ({"note": own.facts["note"]} if own.facts["note"] else {})


def _times(shape: Shape, own: Measured, peak: float | None) -> dict[str, Any]:
    seconds = median(own.seconds)
    ratios = [a / b for a, b in zip(own.seconds, own.dense, strict=True)]
    times = {
        "milliseconds": round(seconds * 1e3, 2),
        "fastest_milliseconds": round(min(own.seconds) * 1e3, 2),
        "ratio_to_dense": round(median(ratios), 4),
        "tokens_per_second": round(shape.tokens / seconds),
    }
    return times if peak is None else times | {"mfu": round(shape.flops() / seconds / peak, 4)}
