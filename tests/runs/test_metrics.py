"""The table of a run: exact numbers, fixed columns, cutting back, torn lines."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import pytest

from bitnet.runs import CLOCK_COLUMNS, TERNARY_COLUMNS, MetricsFile, RunError, metric_columns

COLUMNS = ["tokens", "step", "train/loss", "val/loss"]


@pytest.fixture
def file(tmp_path: Path) -> MetricsFile:
    return MetricsFile(tmp_path / "metrics.csv", COLUMNS)


def row(step: int, **values: float) -> dict[str, float]:
    return {"tokens": step * 64, "step": step, "train/loss": 1 / (step + 2), **values}


def test_floats_come_back_to_the_bit(file: MetricsFile) -> None:
    values = [0.1 + 0.2, 1e-310, 1 / 3, 123456789.123456789, math.inf]
    for step, value in enumerate(values):
        file.append({"step": step, "train/loss": value})
    assert [r["train/loss"] for r in file.read()] == values
    assert [r["val/loss"] for r in file.read()] == [None] * len(values)


def test_numbers_of_other_kinds(file: MetricsFile) -> None:
    import numpy
    import torch

    file.append({"step": numpy.int64(3), "train/loss": torch.tensor(0.5), "val/loss": math.nan})
    (found,) = file.read()
    assert (found["step"], found["train/loss"], found["tokens"]) == (3.0, 0.5, None)
    assert found["val/loss"] is not None and math.isnan(found["val/loss"])


def test_integers_stay_integers_in_the_text(file: MetricsFile) -> None:
    file.append({"step": 2**53 + 1, "tokens": 7})
    assert file.read_text()[0]["step"] == str(2**53 + 1)
    assert file.path.read_text() == "tokens,step,train/loss,val/loss\n7,9007199254740993,,\n"


def test_an_unknown_key_is_an_error_that_names_the_nearest(file: MetricsFile) -> None:
    with pytest.raises(ValueError, match="'train/los' is not a column; did you mean 'train/loss'"):
        file.append({"step": 1, "train/los": 1.0})
    assert file.read() == []


def test_columns_are_fixed(file: MetricsFile) -> None:
    assert MetricsFile(file.path).columns == COLUMNS
    with pytest.raises(RunError, match=r"not in it: \['lr'\].*not asked for: \['val/loss'\]"):
        MetricsFile(file.path, [*COLUMNS[:-1], "lr"])
    with pytest.raises(RunError, match="another order"):
        MetricsFile(file.path, COLUMNS[::-1])
    with pytest.raises(RunError, match="no such table"):
        MetricsFile(file.path.with_name("other.csv"))


def test_truncating_and_writing_again_ends_in_the_same_bytes(file: MetricsFile) -> None:
    for step in range(6):
        file.append(row(step))
    whole = file.path.read_bytes()
    resumed = MetricsFile(file.path, COLUMNS)
    assert resumed.truncate_after(2) == 3
    assert [r["step"] for r in resumed.read()] == [0, 1, 2]
    for step in range(3, 6):
        resumed.append(row(step))
    assert file.path.read_bytes() == whole
    assert resumed.truncate_after(5) == 0
    assert resumed.truncate_after(-1) == 6
    assert resumed.read() == []


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_torn_last_line_is_dropped_wherever_it_tore(
    file: MetricsFile, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    for step in range(3):
        file.append(row(step))
    whole = file.path.read_bytes()
    assert cut < len(whole.splitlines(keepends=True)[-1])
    file.path.write_bytes(whole[:-cut])
    resumed = MetricsFile(file.path)
    assert [r["step"] for r in resumed.read()] == [0, 1]
    with caplog.at_level(logging.INFO, "bitnet.runs.metrics"):
        assert resumed.truncate_after(9) == 1
    assert "1 rows after step 9, one of them torn" in caplog.text
    resumed.append(row(2))
    assert file.path.read_bytes() == whole


def test_appending_after_a_torn_line_does_not_join_them(file: MetricsFile) -> None:
    file.append(row(0))
    with file.path.open("a") as stream:
        stream.write("64,1,0.")
    MetricsFile(file.path).append(row(1))
    assert [r["step"] for r in file.read()] == [0, 1]


def test_a_broken_line_in_the_middle_is_an_error_that_names_it(file: MetricsFile) -> None:
    with file.path.open("a") as stream:
        stream.write("1,2\n64,1,0.5,\n")
    with pytest.raises(RunError, match=r"metrics.csv:2: 2 cells for 4 columns"):
        file.read()
    file.path.write_text("tokens,step,train/loss,val/loss\n64,1,x,\n")
    with pytest.raises(RunError, match=r"metrics.csv:2: .*'x'"):
        file.read()


def test_the_same_class_serves_ternary_rows(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "ternary.csv", TERNARY_COLUMNS)
    for step in (1, 2):
        for layer in ("blocks.0.attention.q", 'odd, "name"'):
            file.append({"step": step, "layer": layer, "zero": 0.25 * step})
    assert [r["layer"] for r in file.read_text()][:2] == ["blocks.0.attention.q", 'odd, "name"']
    assert "layer" not in file.read()[0]
    assert file.truncate_after(1) == 2
    with pytest.raises(RunError, match="line break"):
        file.append({"step": 3, "layer": "a\nb"})


def test_metric_columns_end_with_the_clock() -> None:
    columns = metric_columns(["c4", "book"])
    assert columns[:2] == ["tokens", "step"]
    assert tuple(columns[-len(CLOCK_COLUMNS) :]) == CLOCK_COLUMNS
    assert len(set(columns)) == len(columns)
    for kind in ("train/loss", "train/bits_per_byte", "val/loss", "val/bits_per_byte"):
        assert [c for c in columns if c.startswith(f"{kind}/")] == [f"{kind}/c4", f"{kind}/book"]
