"""Sweeps with real jobs: what they survive, and that nothing is done twice."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest

from bitnet.cli import main
from bitnet.commands.preflight import check_sweep
from bitnet.config import ConfigError
from bitnet.config.store import register, renew_stamp
from bitnet.runs import RunDirectory
from bitnet.runs.sweep_jobs import noted_jobs
from tests.commands.conftest import tiny_overrides


def quiet(corpus: Path, **values: object) -> list[str]:
    """Overrides of a short run that only trains."""
    overrides = tiny_overrides(corpus, **{"callbacks": "quiet", **values})
    return [each for each in overrides if not each.startswith(("callbacks.t", "callbacks.s"))]


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bitnet.cli", "train", "-m", *arguments]
    # Its own session, so that the signals of these tests reach nobody else.
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
    return process.returncode, out, err


def wait_for_step(run: Path, step: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while last_step(run) < step:
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline, "too slow"
        time.sleep(0.005)


def last_step(run: Path) -> int:
    file = run / "metrics.csv"
    if not file.exists():
        return -1
    whole = file.read_bytes().rpartition(b"\n")[0].splitlines()[1:]
    return int(whole[-1].split(b",")[1]) if whole else -1


def kill_tree(process: subprocess.Popen[str]) -> None:
    """What a dying machine does: nobody has time to save or to tell."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        os.killpg(int(child), signal.SIGKILL)
    process.communicate()


def table(root: Path) -> list[dict[str, str]]:
    with (root / "sweep.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the jobs of a sweep in /proc")
def test_a_sweep_that_was_stopped_and_killed_redoes_nothing(corpus: Path, tmp_path: Path) -> None:
    root = tmp_path / "sweep"
    arguments = [*quiet(corpus), "seed=1,2", f"run_dir={root}"]
    first = start(*arguments)
    wait_for_step(root / "1", 4, first)
    first.send_signal(signal.SIGINT)  # to the launcher alone: jobs are in sessions of their own
    code, out, _ = end(first)
    assert code == 130 and "Leaderboard" in out
    done = (root / "0" / "run.json").read_bytes()
    assert RunDirectory(root / "1").record()["state"] == "interrupted"
    stopped_at = last_step(root / "1")
    assert [row["state"] for row in table(root)] == ["finished", "interrupted"]

    second = start(*arguments)
    wait_for_step(root / "1", min(stopped_at + 6, 20), second)
    kill_tree(second)
    assert RunDirectory(root / "1").record()["state"] == "running"

    code, out, err = end(start(*arguments))
    assert code == 0, err[-3000:]
    assert "#0 seed=1: is finished already" in out and "#1 seed=2: goes on from tokens-" in out
    assert (root / "0" / "run.json").read_bytes() == done
    record = RunDirectory(root / "1").record()
    assert record["state"] == "finished" and len(record["resumes"]) == 2
    assert last_step(root / "1") == 24
    assert [row["state"] for row in table(root)] == ["finished", "finished"]
    assert sorted(folder.name for folder, _ in noted_jobs(root)) == ["0", "1"]


@pytest.mark.slow
def test_jobs_of_two_processes_each_run_once(corpus: Path, tmp_path: Path) -> None:
    root = tmp_path / "sweep"
    short = quiet(corpus, **{"batch.micro": 1, "budget.tokens": 512, "trainer": "ddp"})
    wide = [*short, "trainer.accelerator=cpu", "trainer.devices=1,2", f"run_dir={root}"]
    code, out, err = end(start(*wide, "hydra.launcher.jobs=2"))
    assert code == 0, err[-3000:]
    runs = [RunDirectory(root / name) for name in "01"]
    assert sorted(folder.name for folder, _ in noted_jobs(root)) == ["0", "1"]
    for run in runs:
        record = run.record()
        assert (record["state"], record["resumes"]) == ("finished", [])
        assert sum(read["samples"] for read in record["data_read"]) == 8
        # Whoever ran it twice would have written its rows twice.
        assert [row["tokens"] for row in run.metrics().read()] == [512]
        assert "group: sweep" in run.config_file.read_text()
    alone, together = (run.metrics().read()[-1]["val/loss"] for run in runs)
    assert together == pytest.approx(alone, rel=1e-4)
    assert out.count("starts; output in") == 2


@pytest.mark.slow
def test_a_search_gives_up_what_does_badly_and_goes_on_where_it_was(
    corpus: Path, tmp_path: Path
) -> None:
    pytest.importorskip("optuna", reason="needs the extra bitnet[optuna]")
    root = tmp_path / "search"
    settings = {"budget.tokens": 2048, "validation.every_tokens": 512, "seed": 3}
    search = [*quiet(corpus, **settings), f"run_dir={root}", "hydra/sweeper=optuna"]
    search += ["hydra.sweeper.sampler=grid", "hydra.sweeper.startup_trials=1"]
    # The second is a planted bad trial: so large an eps leaves steps of nearly nothing.
    search.append("optimizer.eps=choice(1e-8,10.0)")
    assert main(["train", "-m", *search, "hydra.sweeper.n_trials=1"]) == 0
    done = (root / "0" / "run.json").read_bytes()
    assert main(["train", "-m", *search, "hydra.sweeper.n_trials=9"]) == 0
    assert (root / "0" / "run.json").read_bytes() == done
    run = RunDirectory(root / "1")
    record, rows = run.record(), run.metrics().read()
    assert record["state"] == "pruned"
    assert record["pruned_at"] == rows[-1]["tokens"] < 2048
    assert (run.checkpoints / "last.ckpt").exists() and rows[-1]["val/loss"] is not None
    assert [row["state"] for row in table(root)] == ["finished", "pruned"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "package", "launches"),
    [
        ("joblib", "hydra_plugins.hydra_joblib_launcher", 2),
        ("submitit_local", "hydra_plugins.hydra_submitit_launcher", 1),
    ],
)
def test_other_launchers_run_jobs_and_failures_come_back(
    corpus: Path,
    tmp_path: Path,
    launcher: str,
    package: str,
    launches: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip(package, reason=f"needs the launcher's package for {launcher}")
    root = tmp_path / "sweep"
    arguments = [*quiet(corpus, **{"budget.tokens": 512}), f"hydra/launcher={launcher}"]
    arguments += ["model.vocab_size=100,null", f"run_dir={root}"]
    for _ in range(launches):
        assert main(["train", "-m", *arguments]) == 1
        assert "#0: model.vocab_size: 100 is less than" in capsys.readouterr().err
        assert [row["state"] for row in table(root)] == ["failed", "finished"]
        # A second launch does not do a finished job again.
        assert RunDirectory(root / "1").record()["resumes"] == []


def plan(*overrides: str) -> str:
    """The folder of the sweep that these overrides make."""
    register()
    renew_stamp()
    sweep = check_sweep("train", Namespace(overrides=list(overrides), config_dir=None))
    assert sweep is not None
    return str(sweep.folder)


def test_a_sweep_has_the_same_folder_each_time() -> None:
    folder = plan("linear=bitnet,dense", "seed=1,2")
    assert folder.startswith("runs/sweep-") and len(folder) == len("runs/sweep-") + 8
    assert plan("seed=1,2", "linear=bitnet,dense", "hydra.launcher.jobs=2") == folder
    assert plan("seed=1,2", "linear=bitnet,dense", "logger=csv", "callbacks=quiet") == folder
    assert plan("seed=1,2,3", "linear=bitnet,dense") != folder
    assert plan("sweep=bitnet_vs_dense").startswith("runs/bitnet_vs_dense-")
    assert plan("seed=1,2", "run_dir=here") == "here"
    assert plan("seed=1,2", "hydra.sweep.dir=there") == "there"
    search = ["hydra/sweeper=optuna", "optimizer.eps=interval(1e-9,1e-7)"]
    assert plan(*search) == plan(*search, "hydra.sweeper.n_trials=99") != plan("seed=1,2")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["hydra/sweeper=optuna", "linear=bitnet,dens"], "linear=dens: there is no such choice"),
        (["hydra/sweeper=optuna", "batch.micro=range(2,6,3)"], "batch"),
        (["trainer=ddp", "batch.micro=4", "hydra/launcher=basic"], "hydra/launcher=processes"),
        (["trainer=ddp", "batch.micro=4", "hydra.launcher.devices=[0]"], "hydra.launcher.devices"),
        (["hydra.launcher.job=2"], "did you mean 'jobs'"),
        (["hydra/launcher=process"], "did you mean 'processes'"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_does(
    overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan("seed=1,2", *overrides)


def test_params_of_a_sweep_file_are_checked_beforehand(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    lines = "# @package _global_\nhydra:\n  sweeper:\n    params:\n      model.dimm: 64,128\n"
    (tmp_path / "sweep" / "wide.yaml").write_text(lines)
    register()
    with pytest.raises(ConfigError, match=r"model\.dimm: there is no such key"):
        check_sweep("train", Namespace(overrides=["sweep=wide"], config_dir=str(tmp_path)))
