"""The roofline of a shape as numbers for the report and as a table of 100 columns."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.train.peaks import Peaks
from benchmarks.train.roofline import FORMS, bound, parts
from benchmarks.train.shapes import Shape

_CONTENDER = {"dense": "dense", "int8": "bitnet int8", "int8_grad8": "bitnet int8_grad8"}


def roofline_of(shape: Shape, peaks: Peaks, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts and bounds of each form, beside what was measured.

    Returns:
        ``peaks``; ``forms``: for each its ``parts`` (name, operations, bytes, int8, milliseconds),
        ``bound_milliseconds``, ``bound_ratio`` to the dense one's, and ``share`` of the bound in
        the measured time if that is known; and ``text``, the table's lines.
    """
    measured = {row["contender"]: row.get("milliseconds") for row in rows}
    dense = bound(shape, "dense", peaks)
    forms: dict[str, Any] = {}
    for form in FORMS:
        least = bound(shape, form, peaks)
        forms[form] = {
            "parts": [
                asdict(part) | {"milliseconds": round(part.seconds(peaks) * 1e3, 3)}
                for part in parts(shape, form)
            ],
            "bound_milliseconds": round(least * 1e3, 3),
            "bound_ratio": round(least / dense, 4),
        }
        if taken := measured.get(_CONTENDER[form]):
            forms[form]["share"] = round(least * 1e3 / taken, 4)
    return {"peaks": asdict(peaks), "forms": forms, "text": _lines(peaks, forms)}


def _lines(peaks: Peaks, forms: dict[str, Any]) -> list[str]:
    head = f"{'least milliseconds':<19}" + "".join(f"{form:>11}" for form in forms)
    lines = [
        f"measured peaks: {peaks.bf16 / 1e12:.3g} TFLOP/s in bf16, {peaks.int8 / 1e12:.3g} T/s in "
        f"int8, {peaks.bytes_per_second / 1e9:.3g} GB/s",
        f"{head} {'G operations':>13} {'MB: dense':>10} {'int8':>8} {'grad8':>8}",
    ]
    columns = [form["parts"] for form in forms.values()]
    for same in zip(*columns, strict=True):
        times = "".join(f"{part['milliseconds']:>11.2f}" for part in same)
        sizes = [f"{part['bytes'] / 1e6:>{w}.0f}" for part, w in zip(same, (10, 8, 8), strict=True)]
        operations = f"{same[0]['operations'] / 1e9:>13.1f}"
        lines.append(f"{same[0]['name']:<19}{times} {operations} {' '.join(sizes)}")
    for title, key, digits in (("all", "bound_milliseconds", 2), ("to dense", "bound_ratio", 3)):
        lines.append(f"{title:<19}" + "".join(f"{f[key]:>11.{digits}f}" for f in forms.values()))
    shares = [f"{f['share']:>11.0%}" if "share" in f else f"{'–':>11}" for f in forms.values()]
    lines.append(f"{'bound / measured':<19}" + "".join(shares))
    return lines
