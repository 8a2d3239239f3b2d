"""A run on prepared data goes on with other numbers of ranks, on the same samples."""

import signal
from pathlib import Path

import pytest

from bitnet.runs import RunDirectory
from tests.commands.conftest import bitnet, prepared_overrides, stop_at

STEP = 4 * 64


def test_one_rank_then_two_then_four(tmp_path: Path, prepared: Path) -> None:
    overrides = prepared_overrides(prepared)
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


def test_ranks_that_are_told_to_stop_save_together(tmp_path: Path, prepared: Path) -> None:
    run = tmp_path / "run"
    spread = {"trainer.devices": 2, "batch.micro": 2, "checkpoint.every_tokens": 1000 * STEP}
    overrides = prepared_overrides(prepared, **spread, **{"budget.tokens": 4000 * STEP})
    assert stop_at(3, run, signal.SIGTERM, "train", *overrides, f"run_dir={run}") == 130
    stopped = RunDirectory(run)
    assert stopped.record()["state"] == "interrupted"
    (saved,) = stopped.checkpoints.glob("tokens-*.ckpt")
    step = int(saved.stem.removeprefix("tokens-")) // STEP
    assert 3 <= step < 4000
    bitnet("train", f"resume={run}", f"budget.tokens={(step + 2) * STEP}")
    assert [row["step"] for row in stopped.metrics().read()] == list(range(1, step + 3))
