"""A sharded run is the run that one process would make, also when killed and gone on elsewhere."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from bitnet.runs import RunDirectory
from bitnet.training.strategies.sharded_folder import is_sharded
from tests.commands.conftest import bitnet, prepared_overrides, stop_at, tiny_overrides

STEP = 4 * 64
# Of a loss within twelve steps. Dense runs differ by the order of sums alone; in a quantised one it
# decides between neighbouring codes of some activation, and training goes on from there.
DRIFT = {"dense": 1e-6, "bitnet": 5e-4}
FSDP = {"trainer": "fsdp", "trainer.accelerator": "cpu"}


def losses(run: RunDirectory, *keys: str) -> dict[tuple[float, str], float]:
    """Tokens and column to value, where there is one."""
    found = {}
    for row in run.metrics().read():
        for key in keys or ("train/loss", "val/loss", "grad_norm"):
            value, tokens = row[key], row["tokens"]
            if value is not None and tokens is not None:
                found[tokens, key] = value
    return found


@pytest.mark.parametrize(
    ("engine", "gather", "reduce"),
    [("int8", "ternary", "step"), ("reference", "master", "micro_batch")],
)
def test_two_ranks_train_what_one_does(
    tmp_path: Path, corpus: Path, engine: str, gather: str, reduce: str
) -> None:
    settings: dict[str, object] = {
        "batch.micro": 1,
        "budget.tokens": 10 * STEP,
        "linear.engine": engine,
        "logger.every_tokens": STEP,
        "callbacks.samples.every_tokens": 4 * STEP,
        "+callbacks.samples.prompts": "[the model]",
        "callbacks.samples.sampling.temperature": 0,
    }
    alone, together = tmp_path / "alone", tmp_path / "together"
    bitnet("train", *tiny_overrides(corpus, **settings), f"run_dir={alone}")
    spread = {**FSDP, "trainer.sharding.gather": gather, "trainer.sharding.reduce": reduce}
    bitnet("train", *tiny_overrides(corpus, **{**settings, **spread}), f"run_dir={together}")
    one, two = RunDirectory(alone), RunDirectory(together)
    assert two.record()["data_read"] == one.record()["data_read"]
    expected, found = losses(one), losses(two)
    assert found.keys() == expected.keys() and len(found) > 20
    for place, value in expected.items():
        assert found[place] == pytest.approx(value, rel=1e-4), place
    # All ranks looked at the layers and wrote the samples together; one of them wrote it down.
    assert two.ternary_file.read_text().count("\n") == one.ternary_file.read_text().count("\n")
    assert two.samples_file.read_text().count("Prompt:") == 3
    assert all(is_sharded(each) for each in two.checkpoints.glob("*.ckpt"))


@pytest.mark.parametrize("linear", ["dense", "bitnet"])
def test_killed_on_two_and_gone_on_with_on_one_and_on_four(
    tmp_path: Path, prepared: Path, linear: str
) -> None:
    settings = {"linear": linear, "schedule.warmup": 0}  # a fraction of the budget, which grows
    overrides = prepared_overrides(prepared, **settings)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    bitnet("train", *overrides, f"budget.tokens={12 * STEP}", f"run_dir={whole}")
    spread = [*overrides, "trainer=fsdp", "trainer.accelerator=cpu", "batch.micro=2"]
    long = [*spread, f"budget.tokens={200 * STEP}", f"run_dir={parts}"]
    assert stop_at(3, parts, signal.SIGKILL, "train", *long) == -signal.SIGKILL
    last = parts / "checkpoints" / "last.ckpt"
    assert is_sharded(last)
    reached = int(RunDirectory(parts).metrics().read()[-1]["step"] or 0)
    assert reached < 6, "killed too late for what follows"
    # One process that shards, one that does not, and four.
    for steps, settings in (
        (6, ["trainer.devices=1", "batch.micro=4"]),
        (8, ["trainer.strategy=auto"]),
        (12, ["trainer.strategy=fsdp", "trainer.devices=4", "batch.micro=1"]),
    ):
        bitnet("train", f"resume={parts}", f"budget.tokens={steps * STEP}", *settings)
        assert is_sharded(last) == (steps != 8)
    one, several = RunDirectory(whole), RunDirectory(parts)
    assert several.record()["data_read"] == one.record()["data_read"]
    expected, found = losses(one, "train/loss"), losses(several, "train/loss")
    assert found.keys() == expected.keys() and len(found) == 12
    for place, value in expected.items():
        assert found[place] == pytest.approx(value, rel=DRIFT[linear]), place
    # Evaluating and writing read the folder as they would a file.
    told = tmp_path / "told.json"
    bitnet("eval", f"run={parts}", "trainer=cpu", f"output={told}")
    measured = json.loads(told.read_text())["results"]["loss"]
    assert measured == pytest.approx(several.metrics().read()[-1]["val/loss"], rel=1e-4)
    assert bitnet("generate", f"run={last.resolve()}", "prompt=the", "device=cpu").startswith("the")
