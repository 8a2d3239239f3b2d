"""Runs of a sweep side by side: what differed, what came out, what failed."""

from __future__ import annotations

import csv
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console

from bitnet.runs import RunError
from bitnet.runs.canvas import EndLabel, spread
from bitnet.runs.curves import Curve
from bitnet.runs.differences import telling, varying
from bitnet.runs.sweep import collect, table, write
from bitnet.runs.sweep_plot import mean_and_range
from tests.runs.synthetic import make_run

CONFIG = (
    "seed: {seed}\nrun_dir: runs/{n}\nmodel:\n  dim: 64\nlinear:\n  kind: {kind}\n  engine: {e}\n"
)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """bitnet and dense, two seeds each; the last one fails half way."""
    root = tmp_path / "twins"
    for n, (kind, seed) in enumerate((k, s) for k in ("bitnet", "dense") for s in (1, 2)):
        config = CONFIG.format(seed=seed, n=n, kind=kind, e={"bitnet": "auto"}.get(kind, "null"))
        end = {"state": "failed", "error": "loss is nan", "steps": 20} if n == 3 else {}
        make_run(root / str(n), config, loss=3 - n / 10, **end)
    return root


def shown(root: Path) -> str:
    console = Console(width=160, record=True, file=StringIO())
    console.print(table(collect(root)))
    return console.export_text()


def test_rows_say_what_differs_and_how_it_ended(sweep: Path) -> None:
    rows = collect(sweep)
    assert [row.run for row in rows] == ["0", "1", "2", "3"]
    assert rows[0].differences == {"seed": "1", "linear.kind": "bitnet", "linear.engine": "auto"}
    assert rows[0].told_by == ("seed", "linear.kind")
    assert [row.variant for row in rows] == ["linear.kind=bitnet"] * 2 + ["linear.kind=dense"] * 2
    assert [row.state for row in rows] == ["finished"] * 3 + ["failed"]
    assert rows[3].error == "loss is nan" and rows[3].tokens == 20_000
    assert rows[0].final["val/loss"] == pytest.approx(3.0, abs=0.01)
    assert rows[0].final["val/loss/github"] == pytest.approx(2.0, abs=0.01)
    assert rows[0].final["tokens_per_second"] == 500.0


def test_write_leaves_a_table_and_a_picture(sweep: Path) -> None:
    write(sweep)
    with (sweep / "sweep.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["linear.engine"] for row in rows] == ["auto", "auto", "null", "null"]
    assert float(rows[1]["val/loss"]) == collect(sweep)[1].final["val/loss"]
    assert rows[3]["error"] == "loss is nan"
    assert (sweep / "sweep.png").stat().st_size > 1000
    written = ["leaderboard.md", "sweep.csv", "sweep.png"]
    assert sorted(p.name for p in sweep.iterdir()) == [*"0123", *written]


def test_the_text_has_means_over_finished_seeds_and_errors(sweep: Path) -> None:
    text = shown(sweep)
    first, second = (row.final["val/loss"] for row in collect(sweep)[:2])
    assert f"{(first + second) / 2:.4f} ± {abs(first - second) / 2**0.5:.4f}" in text
    assert "3: loss is nan" in text
    dense, bitnet = (line for line in text.splitlines() if "│ linear.kind=" in line)
    # One finished run has no spread, and a lower loss is better.
    assert "1 of 2" in dense and "±" not in dense and "±" in bitnet


def test_an_unreadable_run_does_not_hide_the_others(sweep: Path) -> None:
    (sweep / "1" / "run.json").write_text("{")
    (sweep / "2" / "config.yaml").write_text("a: [")
    rows = collect(sweep)
    assert [row.state for row in rows] == ["finished", "unreadable", "unreadable", "failed"]
    assert "run.json: is not JSON" in (rows[1].error or "")
    assert "config.yaml: cannot be read" in shown(sweep)


def test_runs_without_validation_or_rows(tmp_path: Path) -> None:
    make_run(tmp_path / "lr" / "a", "lr: 0.1\n", steps=0, state="failed", error="no data")
    write(tmp_path / "lr")
    assert not (tmp_path / "lr" / "sweep.png").exists()
    make_run(tmp_path / "lr" / "b", "lr: 0.2\n", validated=False)
    make_run(tmp_path / "lr" / "c", "lr: 0.05\n", validated=False)
    write(tmp_path / "lr")
    assert (tmp_path / "lr" / "sweep.png").exists()
    with pytest.raises(RunError, match="no run below"):
        collect(tmp_path / "lr" / "a")


def test_keys_that_vary_together_are_told_by_one() -> None:
    small = {"model.dim": "64", "model.name": "small", "lr": "1", "seed": "1", "run_dir": "a"}
    large = {"model.dim": "128", "model.name": "large", "lr": "1", "seed": "2", "run_dir": "b"}
    absent = {"model.dim": "128", "model.name": "large", "lr": "2", "seed": "1"}
    configs = [small, large, absent]
    keys = varying(configs)
    assert keys == ["model.dim", "model.name", "lr", "seed"]
    assert telling(keys, configs) == ["model.name", "lr", "seed"]
    # A family's name tells everything that comes with it, whatever else some of them share.
    families = [
        {"model.name": n, "model.norm": m} for n, m in (("a", "rms"), ("b", "layer"), ("c", "rms"))
    ]
    assert telling(varying(families), families) == ["model.name"]
    # Two runs that differ in seed and model are not repetitions of one.
    assert telling(varying(configs[:2]), configs[:2]) == ["model.name", "seed"]


def test_of_many_variants_only_the_best_are_named_and_no_names_overlap(tmp_path: Path) -> None:
    for n in range(12):
        make_run(tmp_path / str(n), f"lr: {n}\nkind: {'ab'[n % 2]}\n", loss=3 + n / 1000)
    named: list[EndLabel] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bitnet.runs.sweep_plot.label_ends", lambda axis, ends: named.extend(ends))
        write(tmp_path)
    assert len(named) == 8 and named[0].text.startswith("lr=0, kind=a")
    assert len({mark.colour for mark in named}) == 8
    heights = spread([0.01] * 8 + [0.3] * 2 + [0.99, 1.0], 0.05)
    assert min(b - a for a, b in pairwise(heights)) > 0.0499
    assert heights[0] >= 0 and heights[-1] <= 1.0001


def test_means_are_taken_where_all_curves_have_points() -> None:
    mean, low, high = mean_and_range([Curve([1, 2, 3], [4, 2, 1]), Curve([2, 3, 4], [4, 3, 0])])
    assert (mean, low, high) == (Curve([2, 3], [3, 2]), [2, 1], [4, 3])
