"""Two processes train what one would: the same samples, the same budget, one run directory."""

from pathlib import Path

import pytest

from bitnet.runs import RunDirectory
from tests.commands.conftest import bitnet, tiny_overrides


def finish(corpus: Path, run: Path, **values: object) -> RunDirectory:
    overrides = tiny_overrides(corpus, **{"callbacks.samples.every_tokens": 0, **values})
    bitnet("train", *overrides, f"run_dir={run}")
    return RunDirectory(run)


def test_two_ranks_train_what_one_does(tmp_path: Path, corpus: Path) -> None:
    settings = {"batch.micro": 1, "budget.tokens": 8 * 256}
    one = finish(corpus, tmp_path / "one", **settings)
    two = finish(
        corpus,
        tmp_path / "two",
        **{**settings, "trainer": "ddp", "trainer.accelerator": "cpu"},
    )
    assert two.record()["data_read"] == one.record()["data_read"]
    rows = zip(one.metrics().read(), two.metrics().read(), strict=True)
    for alone, together in rows:
        # Sums of gradients and of losses come in another order.
        for key in ("tokens", "train/loss", "val/loss", "train/loss/web"):
            if alone[key] is None:
                assert together[key] is None, key
            else:
                assert together[key] == pytest.approx(alone[key], rel=1e-4), key
