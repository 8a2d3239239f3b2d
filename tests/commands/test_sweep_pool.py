"""Commands side by side: dealt GPUs, ended as a tree, and told apart when they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bitnet.commands.sweeping.child import failure, new_job, quoted, resumed_job
from bitnet.commands.sweeping.devices import (
    check_devices,
    dealt_devices,
    devices_needed,
    thread_share,
)
from bitnet.commands.sweeping.locks import only_one, try_lock
from bitnet.commands.sweeping.pool import Command, Pool
from bitnet.config import ConfigError
from bitnet.config.compose import parse_overrides, train_config
from bitnet.config.schema import TrainerSpec
from bitnet.config.sweeping import ProcessesSpec
from bitnet.runs import RunError

REPORT = "import os, time; print(os.environ.get('CUDA_VISIBLE_DEVICES')); time.sleep(0.4)"


def python(code: str, log: Path, devices: int = 0) -> Command:
    env = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    return Command([sys.executable, "-c", code], log, env, devices)


class Watch:
    """A pool that notes what starts and ends."""

    def __init__(self, places: int, devices: str = "", grace: float = 5.0) -> None:
        self.events: list[tuple[str, int]] = []
        self.dealt: dict[int, list[str]] = {}
        self.codes: dict[int, int] = {}
        self.pool = Pool(places, devices.split(), grace, False, self.started, self.ended)

    def started(self, index: int, devices: list[str]) -> None:
        self.events.append(("starts", index))
        self.dealt[index] = devices

    def ended(self, index: int, code: int) -> None:
        self.events.append(("ends", index))
        self.codes[index] = code


def test_gpus_are_dealt_out_and_none_is_given_twice(tmp_path: Path) -> None:
    watch = Watch(places=3, devices="2 3 5")
    commands = [python(REPORT, tmp_path / str(n), devices) for n, devices in enumerate((2, 1, 2))]
    watch.pool.run(commands)
    assert watch.dealt[0] == ["2", "3"] and watch.dealt[1] == ["5"]
    assert len(set(watch.dealt[2])) == 2
    # The third had to wait for two of them.
    assert watch.events.index(("starts", 2)) > watch.events.index(("ends", 0))
    assert [(tmp_path / name).read_text().strip() for name in "01"] == ["2,3", "5"]


def test_as_many_at_once_as_there_are_places(tmp_path: Path) -> None:
    watch = Watch(places=1)
    watch.pool.run(
        [python("print(1)", tmp_path / "a"), python("raise SystemExit(3)", tmp_path / "b")]
    )
    assert watch.events == [("starts", 0), ("ends", 0), ("starts", 1), ("ends", 1)]
    assert watch.codes == {0: 0, 1: 3}


TREE = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
print(child.pid, flush=True)
if sys.argv[1:] == ['stubborn']:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print('saved', flush=True)
"""


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_every_tree_and_lets_it_save(
    tmp_path: Path, stubborn: bool, kind: signal.Signals
) -> None:
    logs = [tmp_path / "a", tmp_path / "b"]
    commands = [python(TREE, log) for log in logs]
    if stubborn:
        commands[1].arguments.append("stubborn")
    late = python(TREE, tmp_path / "late")
    watch = Watch(places=2, grace=0.5)

    def press() -> None:
        while not all(log.exists() and log.read_text() for log in logs):
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(os.getpid(), kind)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        watch.pool.run([*commands, late])
    assert "saved" in logs[0].read_text() and watch.codes[0] == 0
    assert watch.codes[1] == (-signal.SIGKILL if stubborn else 0)
    assert not (tmp_path / "late").exists()
    for log in logs:
        assert is_gone(int(log.read_text().split()[0]))


def is_gone(pid: int) -> bool:
    """Whether a process has ended, be it not yet waited for."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_a_lock_is_held_as_long_as_the_job_lives(tmp_path: Path) -> None:
    handle = try_lock(tmp_path)
    assert handle is not None
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleeper, pass_fds=(handle,)) as process:
        os.close(handle)
        assert try_lock(tmp_path) is None
        with (
            pytest.raises(RunError, match="another process is running this sweep"),
            only_one(tmp_path),
        ):
            pass
        process.kill()
    with only_one(tmp_path):
        assert try_lock(tmp_path) is None


def test_which_gpus_there_are_to_deal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,GPU-abc")
    assert dealt_devices(ProcessesSpec(devices=["0", "2", "2"])) == ["4", "GPU-abc", "GPU-abc"]
    with pytest.raises(ConfigError, match="no GPU 3 among the 3"):
        dealt_devices(ProcessesSpec(devices=["3"]))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert dealt_devices(ProcessesSpec(devices=["0", "7"])) == ["0", "7"]
    assert devices_needed(TrainerSpec(accelerator="gpu", devices=4), ["0"]) == 4
    assert devices_needed(TrainerSpec(accelerator="cpu", devices=4), ["0"]) == 0


def test_a_job_that_can_never_run_is_refused_beforehand() -> None:
    config = train_config(["trainer=ddp", "batch.micro=4"])
    with pytest.raises(ConfigError, match=r"a job asks for 2, but hydra.launcher.devices has 1"):
        check_devices(ProcessesSpec(devices=["0"]), [config])
    with pytest.raises(ConfigError, match="submitit_slurm"):
        check_devices(ProcessesSpec(), [train_config(["trainer.nodes=2", "batch.micro=4"])])
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.jobs"):
        check_devices(ProcessesSpec(jobs=0), [config])


def test_threads_are_shared_unless_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("bitnet.commands.sweeping.devices._cores", lambda: 16)
    assert thread_share(TrainerSpec(accelerator="cpu", devices=2), 4) == {"OMP_NUM_THREADS": "2"}
    assert thread_share(TrainerSpec(accelerator="cpu"), 1) == {}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_share(TrainerSpec(accelerator="cpu"), 4) == {}


def test_what_a_job_is_called_with(tmp_path: Path) -> None:
    folder = tmp_path / "it's = {odd}, 1"
    given = [
        "seed=1",
        "run_dir=x",
        "resume=auto",
        "hydra.launcher.jobs=2",
        "hydra/launcher=processes",
    ]
    verb, *words = new_job([*given, "hydra.job.chdir=false"], folder, "a b")
    assert verb == "train" and words[:2] == ["seed=1", "hydra.job.chdir=false"]
    values = {each.key_or_group: each.value() for each in parse_overrides(words)}
    assert values["run_dir"] == str(folder) and values["logger.wandb.group"] == "a b"
    trial = "callbacks.trial.number=3"
    assert resumed_job(["seed=1", trial], folder) == ["train", f"resume={folder}", trial]
    assert quoted("runs/a-b_1.c/0") == "runs/a-b_1.c/0"


@pytest.mark.parametrize(
    ("code", "output", "error"),
    [
        (2, "old\nmodel 1M\nbitnet train: a: no\nbitnet train: b: no\n", "a: no; b: no"),
        (1, "old\nTraceback\nRuntimeError: lost the GPU\n\n", "RuntimeError: lost the GPU"),
        (-9, "old\n512 tokens\n", "killed by SIGKILL"),
        (3, "old\n", "ended with exit code 3"),
    ],
)
def test_why_a_job_failed(tmp_path: Path, code: int, output: str, error: str) -> None:
    log = tmp_path / "output.log"
    log.write_text(output)
    assert failure(code, log, len("old\n")) == error
