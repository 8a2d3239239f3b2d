"""Every experiment and every job of every sweep takes two real training steps, shrunken."""

from pathlib import Path

import pytest

from bitnet.commands.train import train
from bitnet.config import ConfigError
from bitnet.runs import RunDirectory
from tests.config.files import EXPERIMENTS, JOBS, composed

GENERATED = ("arithmetic", "tictactoe")
SHORT = {
    "budget.tokens": 512,
    "validation.every_tokens": 512,
    "validation.tokens_per_source": 64,
    "validation.fraction": 0.25,
    "logger.every_tokens": 256,
    "stream.streams": 4,
    "stream.shuffle_megabytes": 0.01,
    "callbacks.ternary.every_tokens": 0,
    "callbacks.samples.every_tokens": 0,
}


def two_steps(choice: list[str], folder: Path, run: Path) -> None:
    """Train two steps of 256 tokens; sources come from ``folder`` unless they are computed."""
    own = choice[0].removeprefix("experiment=") in GENERATED
    data = ["data.documents=64"] if own else ["data=local", f"data.root={folder}"]
    data += [] if own else ["tokenizer=bytes"]
    settings = [f"{key}={value}" for key, value in SHORT.items()]
    settings += ["callbacks=quiet", "trainer=cpu", "trainer.threads=1", "precision=fp32"]
    config = composed(*choice, "debug=tiny", *data, *settings, f"run_dir={run}")
    # Chance is the logarithm of 257, 5.55 nats; widely drawn tied tables start well above it.
    assert 0 < train(config) < 14
    rows = RunDirectory(run).metrics().read()
    assert [row["tokens"] for row in rows] == [256, 512]
    assert {f"val/loss/{source}" for source in config.mix.names} <= rows[-1].keys()
    assert all(rows[-1][f"val/loss/{source}"] is not None for source in config.mix.names)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_takes_two_steps(name: str, every_source: Path, tmp_path: Path) -> None:
    two_steps([f"experiment={name}"], every_source, tmp_path / "run")


@pytest.mark.parametrize("job", JOBS, ids=" ".join)
def test_every_job_of_a_sweep_takes_two_steps(
    job: list[str], every_source: Path, tmp_path: Path
) -> None:
    two_steps(job, every_source, tmp_path / "run")


def test_prompts_that_the_tokenizer_cannot_read_are_named_before_the_run(tmp_path: Path) -> None:
    choice = ["data=arithmetic", "mix=single/arithmetic", "debug=tiny", "trainer=cpu"]
    run = tmp_path / "run"
    with pytest.raises(ConfigError, match=r"callbacks\.samples\.prompts: .*'The '"):
        train(composed(*choice, f"run_dir={run}"))
    assert not run.exists()
