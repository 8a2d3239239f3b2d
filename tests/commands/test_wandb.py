"""One run is one W&B run: ended with its exit code, and found again on resume."""

from pathlib import Path
from typing import Any

import pytest
import wandb

from bitnet.cli import main
from bitnet.commands.outputs import wandb_mode
from bitnet.config import ConfigError
from bitnet.runs import RunDirectory
from tests.commands.conftest import tiny_overrides


def test_jobs_of_a_sweep_are_runs_of_their_own_and_end_with_their_exit_code(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    codes, finish = [], wandb.finish

    def watch(exit_code: int | None = None, **more: Any) -> None:
        codes.append(exit_code)
        finish(exit_code=exit_code, **more)

    monkeypatch.setattr(wandb, "finish", watch)
    settings = {"logger.wandb.enabled": "true", "budget.tokens": 512, "callbacks": "quiet"}
    overrides = tiny_overrides(corpus, **settings)
    overrides = [each for each in overrides if not each.startswith(("callbacks.t", "callbacks.s"))]
    both = ["seed=1,2", "hydra/launcher=basic"]
    arguments = ["train", "-m", *overrides, *both, f"run_dir={tmp_path / 'sweep'}"]
    fit = "bitnet.commands.fit.loss_curves"

    def fail_once(run: RunDirectory, path: Path) -> None:
        if run.path.name == "1":
            raise RuntimeError("cannot draw")

    monkeypatch.setattr(fit, fail_once)
    assert main(arguments) == 1
    assert codes == [0, 1]
    runs = [RunDirectory(tmp_path / "sweep" / name) for name in "01"]
    ids = [run.record()["wandb_id"] for run in runs]
    assert ids[0] != ids[1]
    for run, each in zip(runs, ids, strict=True):
        found = list((run.path / "wandb").glob(f"offline-run-*-{each}"))
        assert len(found) == 1
    monkeypatch.setattr(fit, lambda run, path: None)
    assert main(["train", f"resume={runs[1].path}", "budget.tokens=1024"]) == 0
    again = list((runs[1].path / "wandb").glob("offline-run-*"))
    # A second start within the same second is called the same and "-1".
    assert len(again) == 2 and all(f"-{ids[1]}" in folder.name for folder in again)


def test_the_mode_is_offline_without_a_key_and_never_a_typo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    assert wandb_mode("auto") == "offline"
    (tmp_path / "none").write_text("machine api.wandb.ai login user password secret\n")
    assert wandb_mode("auto") == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_mode("auto") == "disabled" and wandb_mode("online") == "online"
    with pytest.raises(ConfigError, match="onlin"):
        wandb_mode("onlin")
