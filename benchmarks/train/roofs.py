"""What each shape's step must do at least, and how much of dense that is, before anything is timed.

``python -m benchmarks.train.roofs`` prints a table of counts and one of bounds: on this CPU, whose
peaks it measures, and on an H200 by its data sheet. No step is taken and no GPU is needed.
"""

from __future__ import annotations

from benchmarks.gpu_roofline import PEAK_BF16, PEAK_BYTES, PEAK_INT8
from benchmarks.train.peaks import Peaks, measured_peaks
from benchmarks.train.roofline import FORMS, bound, parts
from benchmarks.train.shapes import SHAPES, Shape

H200 = Peaks(PEAK_BF16, PEAK_INT8, PEAK_BYTES)
"""By the data sheet, dense."""


def counts(shapes: list[Shape]) -> list[str]:
    """Lines of a table of operations (in all, and those in int8) and of bytes, by form."""
    lines = [
        "| shape | T operations | in int8: int8 | grad8 | GB: dense | int8 | grad8 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for shape in shapes:
        forms = [parts(shape, form) for form in FORMS]
        total = sum(part.operations for part in forms[0])
        eighths = [sum(p.operations for p in form if p.int8) / total for form in forms[1:]]
        sizes = [sum(p.bytes for p in form) / 1e9 for form in forms]
        shares = " | ".join(f"{share:.0%}" for share in eighths)
        moved = " | ".join(f"{size:.2f}" for size in sizes)
        lines.append(f"| {shape.name} | {total / 1e12:.3f} | {shares} | {moved} |")
    return lines


def bounds(shapes: list[Shape], machines: dict[str, Peaks]) -> list[str]:
    """Lines of a table: milliseconds of the dense bound and both ratios to it, by machine."""
    head = [f"{name}: dense ms | int8 | grad8" for name in machines]
    lines = [f"| shape | {' | '.join(head)} |", f"| --- |{' ---: |' * 3 * len(machines)}"]
    for shape in shapes:
        cells = []
        for peaks in machines.values():
            dense, *ours = (bound(shape, form, peaks) for form in FORMS)
            cells += [f"{dense * 1e3:,.1f}", *(f"{each / dense:.2f}" for each in ours)]
        lines.append(f"| {shape.name} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    every = [shape for name, shape in SHAPES.items() if name != "tiny"]
    machines = {"CPU": measured_peaks("cpu"), "H200": H200}
    print("\n".join([*counts(every), "", *bounds(every, machines)]))
