"""The least time that a product can take on an H200: by its operations, and by its bytes.

Peaks by the data sheet, dense: 989.4 T/s in bf16, 1978.9 T/s in int8 and e4m3, 4.8 TB/s. A product
of M x N over K is 2 M N K operations; its bytes are each operand read once, the result written
once. What a chip reaches on random data is lower (a large bf16 product: about 790 T/s; a copy:
about 4.3 TB/s), so no contender can come to 1.

``python -m benchmarks.gpu_roofline`` prints the table for the published shapes; no GPU is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.gpu_shapes import FULL

PEAK_BF16 = 989.4e12
PEAK_INT8 = 1978.9e12
PEAK_BYTES = 4.8e12


class Bounds(NamedTuple):
    """Operations of a task, and its bytes with operands of one byte and of two."""

    operations: float
    bytes_int8: float
    bytes_bf16: float

    def row(self, milliseconds: float, dense: bool) -> dict[str, Any]:
        """What a table says about a time."""
        moved = self.bytes_bf16 if dense else self.bytes_int8
        peak = PEAK_BF16 if dense else PEAK_INT8
        by_operations, by_bytes = self.operations / peak * 1e3, moved / PEAK_BYTES * 1e3
        floor = max(by_operations, by_bytes)
        return {
            "operations": self.operations,
            "bytes": moved,
            "bound_by": "operations" if by_operations > by_bytes else "bytes",
            "floor_milliseconds": floor,
            "of_the_roofline": floor / milliseconds,
            "tera_operations_per_second": self.operations / milliseconds / 1e9,
        }


def product(m: int, n: int, depths: Sequence[int]) -> Bounds:
    """Of a product with a bf16 result: ``[m, k] x [n, k]``, summed over the depths k."""
    codes = sum(m * k + n * k for k in depths)
    result = 2 * m * n
    scales = 4 * m * len(depths)
    return Bounds(2 * m * n * sum(depths), codes + result + scales, 2 * codes + result)


def rounding(m: int, width: int) -> Bounds:
    """Of bf16 rows to int8 codes and a scale; about ten operations a value."""
    moved = m * (3 * width + 4)
    return Bounds(10 * m * width, moved, moved)


def table(m: int) -> list[str]:
    """Lines of a table for so many rows: the floors of dense bf16 and of int8, and their ratio."""
    lines = [
        "| product | M x N x K | T op | GB int8 | ms bf16 | ms int8 | ratio | int8 bound by |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in FULL:
        bounds = product(m, each.n, each.depths)
        dense, ours = bounds.row(1.0, dense=True), bounds.row(1.0, dense=False)
        floors = dense["floor_milliseconds"], ours["floor_milliseconds"]
        depth = "+".join(map(str, each.depths))
        lines.append(
            f"| {each.name} | {m} x {each.n} x {depth} | {bounds.operations / 1e12:.3f} "
            f"| {bounds.bytes_int8 / 1e9:.3f} | {floors[0]:.3f} | {floors[1]:.3f} "
            f"| {floors[1] / floors[0]:.2f} | {ours['bound_by']} |"
        )
    return lines


if __name__ == "__main__":
    print("\n".join(table(32768)))
