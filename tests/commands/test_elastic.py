"""A run on prepared data goes on with other numbers of ranks, on the same samples."""

import subprocess
import sys
from pathlib import Path

import pytest

from bitnet.runs import RunDirectory
from tests.commands.conftest import tiny_overrides

STEP = 4 * 64


def bitnet(*arguments: object) -> None:
    command = [sys.executable, "-m", "bitnet.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def prepared(tmp_path: Path, corpus: Path) -> Path:
    folder = tmp_path / "prepared"
    sizes = ["validation.fraction=0.15", "workers=1"]
    bitnet(
        "prepare",
        "data=local",
        f"data.root={corpus}",
        "tokenizer=bytes",
        f"output={folder}",
        *sizes,
    )
    return folder


def test_one_rank_then_two_then_four(tmp_path: Path, corpus: Path, prepared: Path) -> None:
    overrides = tiny_overrides(
        corpus,
        **{
            "data": "prepared",
            "data.path": prepared,
            "tokenizer": prepared,
            "schedule": "constant",
            "batch.micro": 4,
            "callbacks.samples.every_tokens": 0,
            "logger.every_tokens": STEP,
            "checkpoint.every_tokens": STEP,
        },
    )
    overrides = [each for each in overrides if not each.startswith("data.root")]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    bitnet("train", *overrides, f"budget.tokens={9 * STEP}", f"run_dir={whole}")
    bitnet("train", *overrides, f"budget.tokens={3 * STEP}", f"run_dir={parts}")
    for ranks, steps in ((2, 6), (4, 9)):
        size = [f"trainer.devices={ranks}", f"batch.micro={4 // ranks}"]
        bitnet("train", f"resume={parts}", f"budget.tokens={steps * STEP}", *size)
    one, several = RunDirectory(whole), RunDirectory(parts)
    assert several.record()["data_read"] == one.record()["data_read"]
    rows = {row["tokens"]: row["train/loss"] for row in one.metrics().read()}
    again = {row["tokens"]: row["train/loss"] for row in several.metrics().read()}
    assert rows.keys() == again.keys() and len(rows) == 9
    for tokens, loss in rows.items():
        assert again[tokens] == pytest.approx(loss, rel=1e-4), tokens
