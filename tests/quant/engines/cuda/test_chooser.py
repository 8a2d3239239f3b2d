"""The choice between ways: measured once, remembered, and never a matter of numbers."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bitnet.quant.engines.cuda import chooser as chooser_module
from bitnet.quant.engines.cuda import ledger, stopwatch
from bitnet.quant.engines.cuda.chooser import Chooser, Machine, shape_key
from bitnet.quant.engines.cuda.int_mm import multiply_by_library
from bitnet.quant.engines.cuda.ledger import Entry
from bitnet.quant.engines.cuda.operands import Operands, operands_of
from bitnet.quant.engines.cuda.ways import Way

MACHINE = Machine((9, 0), 132, "some GPU | torch 2 | triton 3 | revision 1")


def problem(m: int = 40, n: int = 24, k: int = 16) -> Operands:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-127, 128, (m, k), generator=generator, dtype=torch.int8)
    w = torch.randint(-1, 2, (n, k), generator=generator, dtype=torch.int8)
    scales = torch.rand(m, 1, generator=generator), torch.rand((), generator=generator)
    return operands_of([x], [scales[0]], [w], [scales[1]], torch.bfloat16)


class Bench:
    """Stands for the stopwatch: fixed times, and a count of how often it was asked."""

    def __init__(self, **milliseconds: float) -> None:
        self.milliseconds = milliseconds
        self.asked = 0

    def __call__(self, ways: dict[str, Way], operands: Operands) -> dict[str, float]:
        self.asked += 1
        return {name: time for name, time in self.milliseconds.items() if name in ways}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the ways that were taken, in order; two ways stand in for the real ones."""
    names: list[str] = []

    def way(name: str) -> Way:
        def run(operands: Operands) -> Tensor:
            names.append(name)
            return multiply_by_library(operands)

        return run

    ways = {"kernel": way("kernel"), "int_mm": way("int_mm")}
    monkeypatch.setattr(chooser_module, "ways_for", lambda *_: ways)
    return names


def test_the_fastest_is_taken_and_measured_once(
    taken: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(kernel=2.0, int_mm=1.0)
    choose = Chooser(MACHINE, None, bench)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            choose(problem())
    assert taken == ["int_mm"] * 3
    assert bench.asked == 1
    assert len(caplog.records) == 1
    assert "64 x 24 x 16 bfloat16: int_mm 1.000 ms (measured now)" in caplog.text


def test_a_batch_a_little_larger_is_no_new_shape(taken: list[str]) -> None:
    bench = Bench(kernel=1.0, int_mm=2.0)
    choose = Chooser(MACHINE, None, bench)
    for rows in (33, 40, 64, 65):
        choose(problem(rows))
    assert bench.asked == 2


def test_the_choice_outlives_the_process(taken: list[str], tmp_path: Path) -> None:
    path = tmp_path / "deep" / "times.json"
    Chooser(MACHINE, path, Bench(kernel=1.0, int_mm=2.0))(problem())
    later = Bench(kernel=2.0, int_mm=1.0)
    choose = Chooser(MACHINE, path, later)
    choose(problem())
    assert taken == ["kernel", "kernel"]
    assert later.asked == 0
    said = choose.describe(40, 24, [16], torch.bfloat16)
    assert said == "int8 product 64 x 24 x 16 bfloat16: kernel 1.000 ms, int_mm 2.000 ms"
    assert "first use" in choose.describe(4000, 24, [16], torch.bfloat16)
    other = Chooser(MACHINE._replace(key="another GPU"), path, later)
    other(problem())
    assert later.asked == 1


def test_a_remembered_way_that_is_gone_is_measured_anew(taken: list[str], tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    key = shape_key(40, 24, [16], torch.bfloat16)
    ledger.record(path, MACHINE.key, key, Entry("older kernel", {"older kernel": 0.1}))
    Chooser(MACHINE, path, Bench(kernel=1.0))(problem())
    assert taken == ["kernel"]
    assert ledger.read(path, MACHINE.key)[key].way == "kernel"


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"some GPU | torch 2 | triton 3 | revision 1": 3}']
)
def test_a_broken_file_is_ignored_and_replaced(
    content: str, taken: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "times.json"
    path.write_text(content)
    Chooser(MACHINE, path, Bench(kernel=1.0))(problem())
    assert taken == ["kernel"]
    assert len(ledger.read(path, MACHINE.key)) == 1


def test_a_file_that_cannot_be_written_is_left(taken: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    Chooser(MACHINE, tmp_path / "file" / "times.json", Bench(kernel=1.0))(problem())
    assert taken == ["kernel"]


def test_processes_do_not_erase_each_other(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    for gpu, shape in (("a", "1"), ("a", "2"), ("b", "1")):
        ledger.record(path, gpu, shape, Entry("kernel", {"kernel": 1.5}))
    assert set(ledger.read(path, "a")) == {"1", "2"}
    assert ledger.read(path, "b") == {"1": Entry("kernel", {"kernel": 1.5})}
    assert [each.name for each in tmp_path.iterdir()] == ["times.json"]
    assert json.loads(path.read_text())["b"]["1"]["way"] == "kernel"


def test_the_file_lies_in_the_user_s_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert ledger.ledger_path() == tmp_path / "bitnet" / "int8_products.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert ledger.ledger_path().parts[-3:] == (".cache", "bitnet", "int8_products.json")
    assert f"torch {torch.__version__}" in ledger.machine_key("GPU")


def test_no_way_at_all_is_an_error(taken: list[str]) -> None:
    with pytest.raises(RuntimeError, match="40 rows, 24 columns"):
        Chooser(MACHINE, None, Bench())(problem())


def test_wrong_and_broken_ways_are_not_timed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stopwatch, "milliseconds_of", lambda call: float(call().numel()))

    def off_by_one(operands: Operands) -> Tensor:
        y = multiply_by_library(operands)
        y[-1, -1] += 1
        return y

    def broken(operands: Operands) -> Tensor:
        raise RuntimeError("out of resources\nand more")

    ways = {"wrong": off_by_one, "broken": broken, "right": multiply_by_library}
    with caplog.at_level(logging.WARNING):
        assert stopwatch.times_of(ways, problem()) == {"right": 40.0 * 24}
    assert "by wrong is not used: its numbers are wrong" in caplog.text
    assert "by broken is not used: RuntimeError: out of resources" in caplog.text


def test_an_overflowed_batch_says_nothing_about_a_way() -> None:
    operands = problem()
    operands.parts[0].x_scale[:] = float("nan")
    rows = stopwatch.sampled_rows(operands)
    truth = stopwatch.exact_rows(operands, rows)
    assert truth.isnan().all()
    assert stopwatch.problem_of(multiply_by_library, operands, rows, truth) is None


def test_the_truth_is_exact_under_autocast() -> None:
    operands = problem(k=600)
    rows = stopwatch.sampled_rows(operands)
    expected = stopwatch.exact_rows(operands._replace(dtype=torch.float32), rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = stopwatch.exact_rows(operands._replace(dtype=torch.float32), rows)
    assert torch.equal(got, expected)
