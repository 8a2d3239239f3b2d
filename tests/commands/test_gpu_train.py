"""The GPU script, as far as a CPU can prove it: its comparisons, its runs, their curves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import gpu_train
from benchmarks.train import correctness
from benchmarks.train.correctness import compare
from benchmarks.train.shapes import SHAPES
from benchmarks.train.twins import Recipe, draw, held_out, summary, train_twins
from bitnet.quant import EngineUnavailableError


def test_engines_of_this_device_are_right_and_others_are_named() -> None:
    rows = {row["engine"]: row for row in compare("cpu", compiled=False)}
    assert rows["reference"]["gradient_error"] == 0.0
    assert rows["int8"]["right"] and 0 < rows["int8"]["gradient_error"] < 0.01
    for row in rows.values():
        assert row.get("right", False) or "note" in row


def test_an_engine_that_computes_something_else_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    true_pass = correctness._pass

    def off(name: str, *rest: object, **more: object) -> correctness.Passed:
        found = true_pass(name, *rest, **more)  # type: ignore[arg-type]
        if name == "int8_grad8":
            raise EngineUnavailableError("not here")
        scale = 1.02 if name == "int8" else 1.0
        return correctness.Passed(found.loss, scale * found.gradients)

    monkeypatch.setattr(correctness, "_pass", off)
    rows = {row["engine"]: row for row in compare("cpu", compiled=False)}
    assert rows["int8"]["right"] is False and rows["int8"]["gradient_error"] > 0.01
    assert rows["int8_grad8"]["note"] == "not available: not here"


def test_the_comparison_sees_every_parameter() -> None:
    shape = replace(SHAPES["tiny"], layers=1)
    found = correctness._pass("reference", shape, "cpu", torch.float32, compiled=False)
    weights = 4 * 64 * 64 + 3 * 64 * 176 + 256 * 64
    norms = 2 * 64 + 64 + 176 + 64
    assert isinstance(found.gradients, Tensor) and found.gradients.numel() == weights + norms


@pytest.fixture
def tokens(corpus: Path, tmp_path: Path) -> Path:
    from bitnet.cli import main

    folder = tmp_path / "tokens"
    command = ["prepare", "data=local", f"data.root={corpus}", "tokenizer=bytes", "workers=0"]
    assert main([*command, "validation.fraction=0.15", f"output={folder}"]) == 0
    return folder


@pytest.mark.slow
def test_twins_are_trained_by_the_command_and_their_curves_drawn(
    tokens: Path, tmp_path: Path
) -> None:
    assert held_out(tokens) == 0.15
    shape = SHAPES["tiny"]
    mix = ("mix=uniform", "mix.rule=weights", "+mix.weights={web:0.5,code:0.3,books:0.2}")
    more = (*mix, "precision=fp32", "compile=never", "validation.tokens_per_source=64")
    recipe = Recipe(shape, tokens, 6 * shape.tokens, "cpu", more)
    lines: list[str] = []
    rows = train_twins(recipe, tmp_path / "runs", ["bitnet int8"], lines.append)
    (row,) = rows
    assert row["tokens"] == recipe.budget and row["tokens_per_second"] > 0, row
    assert 0 < row["val_loss"] < 10 and len(row["curve"]) == 6
    assert json.loads(lines[0])["contender"] == "bitnet int8"
    config = (tmp_path / "runs" / "bitnet_int8" / "config.yaml").read_text()
    assert "engine: int8" in config and "dim: 64" in config
    picture = tmp_path / "curves.png"
    assert draw(tmp_path / "runs", ["bitnet int8"], "tiny", picture)
    assert picture.stat().st_size > 10_000
    broken = replace(recipe, more=(*more, "batch.size=nothing"))
    (failed,) = train_twins(broken, tmp_path / "no", ["dense"], lines.append)
    assert "batch.size" in failed["note"]
    assert not draw(tmp_path / "no", ["dense"], "none", tmp_path / "none.png")


def test_a_summary_is_of_what_was_logged() -> None:
    rows = [
        {"tokens": 64.0, "train/loss": 5.0, "tokens_per_second": 9.0, "elapsed_seconds": 1.0},
        {"tokens": 128.0, "train/loss": 4.0, "val/loss": 4.5, "elapsed_seconds": 2.04},
    ]
    assert summary("dense", rows) == {
        "contender": "dense", "tokens": 128, "train_loss": 4.0, "val_loss": 4.5,
        "tokens_per_second": 9, "seconds": 2.0, "curve": [[64.0, 1.0, 5.0], [128.0, 2.04, 4.0]],
    }  # fmt: skip


def test_without_a_gpu_the_script_says_what_it_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu_train"])
    with pytest.raises(SystemExit, match="--tiny"):
        gpu_train.main()
    monkeypatch.setattr("sys.argv", ["gpu_train", "--tiny", "benhc"])
    with pytest.raises(SystemExit):
        gpu_train.main()
