"""A run killed at any moment and resumed ends with the bits of one left alone."""

import os
import time
from pathlib import Path

import pytest
import torch

from bitnet.runs import CLOCK_COLUMNS, RunDirectory
from tests.commands.conftest import bitnet, tiny_overrides
from tests.commands.forks import Forked

STEPS = 24


def kill_at(step: int, run: Path, *arguments: str) -> None:
    """Start a process and kill it, workers and all, once its metrics reach ``step``."""
    errors = run.with_suffix(".errors")
    with open(os.devnull, "wb") as nowhere, errors.open("wb") as told:
        process = Forked("train", *arguments, stdout=nowhere, stderr=told)
    deadline = time.monotonic() + 240
    while last_step(run) < step:
        if process.poll() is not None:
            raise AssertionError(f"ended before step {step}: {errors.read_text()[-3000:]!r}")
        assert time.monotonic() < deadline, "too slow"
        time.sleep(0.002)
    process.kill()
    process.wait(100)


def last_step(run: Path) -> int:
    file = run / "metrics.csv"
    if not file.exists():
        return -1
    whole = file.read_bytes().rpartition(b"\n")[0].splitlines()[1:]
    return int(whole[-1].split(b",")[1]) if whole else -1


def metrics_of(run: Path) -> list[dict[str, float | None]]:
    rows = RunDirectory(run).metrics().read()
    return [{k: v for k, v in row.items() if k not in CLOCK_COLUMNS} for row in rows]


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    file = run / "checkpoints" / "last.ckpt"
    state = torch.load(file, weights_only=True)
    assert state["global_step"] == STEPS
    weights: dict[str, torch.Tensor] = state["state_dict"]
    return weights


# The pace is slowed so that a kill lands where it is meant to.
@pytest.mark.parametrize(
    ("workers", "kills"),
    [(0, (5, 12, 16)), (2, (9, 21))],
    ids=["in-process, killed three times", "two workers, killed twice"],
)
def test_killed_and_resumed_is_bit_identical(
    tmp_path: Path, corpus: Path, workers: int, kills: tuple[int, ...]
) -> None:
    overrides = tiny_overrides(corpus, **{"stream.workers": workers})
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    bitnet("train", *overrides, f"run_dir={alone}")
    kill_at(kills[0], killed, *overrides, f"run_dir={killed}")
    for step in kills[1:]:
        kill_at(step, killed, f"resume={killed}")
    bitnet("train", f"resume={killed}")
    assert metrics_of(killed) == metrics_of(alone)
    expected = weights_of(alone)
    for name, weight in weights_of(killed).items():
        assert torch.equal(weight, expected[name]), name
    for file in ("ternary.csv", "samples.md"):
        assert (killed / file).read_bytes() == (alone / file).read_bytes(), file
    assert len(RunDirectory(killed).record()["resumes"]) == len(kills)
