"""The roof of `bitnet bench train`, counted by hand, its shapes, and the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.train.peaks import Peaks
from benchmarks.train.plot import draw
from benchmarks.train.roofline import FORMS, bound, parts
from benchmarks.train.roofline_table import roofline_of
from benchmarks.train.roofs import H200, bounds, counts
from benchmarks.train.shapes import SHAPES
from bitnet.nn import LinearSpec, Transformer

TINY = SHAPES["tiny"]


def test_the_roof_counts_every_operation_of_a_step_and_bytes_by_hand() -> None:
    shape = replace(TINY, layers=1)
    for form in FORMS:
        assert sum(part.operations for part in parts(shape, form)) == pytest.approx(shape.flops())
    forward = {form: parts(shape, form)[0] for form in FORMS}
    ins, outs = 3 * 64 + 176, 5 * 64 + 2 * 176
    weights = 4 * 64 * 64 + 3 * 64 * 176
    assert forward["dense"].bytes == 2 * (128 * ins + weights) + 2 * 128 * outs
    assert forward["int8"].bytes == (128 * ins + weights) + 2 * 128 * outs
    assert [part.int8 for part in parts(shape, "int8")[:3]] == [True, False, False]
    assert [part.int8 for part in parts(shape, "int8_grad8")[:3]] == [True, True, False]


def test_where_products_are_all_the_bounds_are_those_of_their_rates() -> None:
    """Without memory, int8 twice as fast: a third, then two thirds of the products at half."""
    shape = replace(SHAPES["1.3b"], vocab=1, length=1, batch=8192)
    peaks = Peaks(bf16=1e12, int8=2e12, bytes_per_second=1e30)
    dense, int8, grad8 = (bound(shape, form, peaks) for form in FORMS)
    assert int8 / dense == pytest.approx(5 / 6, rel=1e-3)
    assert grad8 / dense == pytest.approx(4 / 6, rel=1e-3)


def test_the_roofline_stands_beside_what_was_measured() -> None:
    peaks = Peaks(bf16=1e12, int8=2e12, bytes_per_second=1e10)
    found = roofline_of(TINY, peaks, [{"contender": "bitnet int8", "milliseconds": 100.0}])
    int8 = found["forms"]["int8"]
    assert int8["share"] == pytest.approx(int8["bound_milliseconds"] / 100.0, abs=1e-4)
    assert "share" not in found["forms"]["dense"] and found["forms"]["dense"]["bound_ratio"] == 1.0
    assert max(map(len, found["text"])) <= 100


def test_a_picture_has_a_panel_a_shape(tmp_path: Path) -> None:
    row = {"kind": "ours", "contender": "bitnet int8", "ratio_to_dense": 0.9}
    rows = [row | {"shape": "a"}, row | {"shape": "b", "contender": "torchao", "kind": "peer"}]
    assert draw(rows, "a machine", tmp_path / "two.svg")
    drawn = (tmp_path / "two.svg").read_text()
    assert drawn.count('id="axes_') == 2
    assert not draw([{"shape": "a", "note": "failed"}], "", tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_the_shapes_are_those_of_their_names() -> None:
    for name, millions in (("28m", 28), ("125m", 124), ("700m", 729), ("1.3b", 1273)):
        with torch.device("meta"):
            model = Transformer(SHAPES[name].model(), LinearSpec("dense"))
        counts = model.parameter_counts()
        assert counts["total"] / 1e6 == pytest.approx(millions, rel=0.03), name


def test_the_roofs_of_many_shapes_are_one_table_of_counts_and_one_of_bounds() -> None:
    shapes = [TINY, SHAPES["1.3b_layer"]]
    fast = Peaks(bf16=1e12, int8=2e12, bytes_per_second=1e30)
    counted, held = counts(shapes), bounds(shapes, {"a": fast, "b": H200})
    names = [shape.name for shape in shapes]
    for table in (counted, held):
        assert [line.split("|")[1].strip() for line in table[2:]] == names
        assert len({line.count("|") for line in table}) == 1
    total, int8, grad8 = (cell.strip() for cell in counted[3].split("|")[2:5])
    assert float(total) == pytest.approx(shapes[1].flops() / 1e12, abs=1e-3)
    assert float(grad8[:-1]) == pytest.approx(2 * float(int8[:-1]), abs=1)
    dense, *ratios = (cell.strip() for cell in held[3].split("|")[2:5])
    assert float(dense.replace(",", "")) == pytest.approx(shapes[1].flops() / 1e9, rel=1e-3)
    assert [float(each) for each in ratios] == sorted(map(float, ratios), reverse=True)
