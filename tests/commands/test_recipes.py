"""Every optimizer and schedule drives a real run; rates reach the optimizer as scheduled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitnet.commands.build import step_plan
from bitnet.commands.train import train
from bitnet.config.compose import train_config
from bitnet.config.paths import config_home
from bitnet.runs import RunDirectory
from bitnet.training import module as module_of_training
from tests.commands.conftest import tiny_overrides

STEP = 4 * 64


def choices(group: str) -> list[str]:
    return sorted(f"{group}={file.stem}" for file in (config_home() / "configs" / group).iterdir())


def run_of(corpus: Path, run: Path, *more: str) -> tuple[list[dict[str, Any]], Any]:
    short: dict[str, object] = {"budget.tokens": 4 * STEP, "logger.every_tokens": STEP}
    short |= {"callbacks": "quiet", "trainer.threads": 1}
    config = train_config([*tiny_overrides(corpus, **short), f"run_dir={run}", *more])
    train(config)
    return RunDirectory(run).metrics().read(), config


@pytest.mark.parametrize("choice", choices("optimizer") + choices("schedule"))
def test_steps_are_counted_once_and_rates_are_the_schedules(
    corpus: Path, tmp_path: Path, choice: str
) -> None:
    more = ["schedule.weight_decay=0.0001"] if "decoupled" in choice else []
    rows, config = run_of(corpus, tmp_path / "run", choice, *more)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    plan = step_plan(config)
    for row in rows:
        tokens = plan.tokens_at(int(row["step"]))
        assert (row["lr"], row["weight_decay"]) == config.schedule.at(tokens, 4 * STEP)
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]


@pytest.mark.parametrize("optimizer", ["adamw", "decoupled_adamw", "muon"])
def test_mups_scale_of_the_rate_reaches_the_optimizer(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    """Half the base width: hidden matrices learn at twice the rate, and decoupled decay stays."""
    seen: list[set[tuple[float, float]]] = []
    set_rates = module_of_training.set_rates

    def spy(groups: Any, scales: Any, lr: float, decay: float) -> None:
        set_rates(groups, scales, lr, decay)
        found = ((g["lr"] / lr, g["lr"] * g["weight_decay"]) for g in groups)
        seen.append({(round(scale, 6), round(shrink, 12)) for scale, shrink in found})

    monkeypatch.setattr(module_of_training, "set_rates", spy)
    mup = ["model.mup_base_dim=128", "model.init=mup", "schedule=constant", "schedule.peak=0.001"]
    mup += ["schedule.warmup=0", "schedule.weight_decay=0.0005", f"optimizer={optimizer}"]
    run_of(corpus, tmp_path / "run", *mup)
    shrink = 5e-4 if optimizer == "decoupled_adamw" else 2e-3 * 5e-4
    assert seen == [{(2.0, shrink), (1.0, 0.0)}] * 4
