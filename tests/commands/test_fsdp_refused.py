"""What cannot be sharded is refused in one line, with what to use instead."""

from __future__ import annotations

import re

import pytest

from bitnet.config import ConfigError, validate
from bitnet.config.compose import compose_config, train_config


def refusal(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(train_config(["trainer=fsdp", "batch.micro=4", *overrides]))
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["trainer=fsdp_tp"], "trainer.strategy: 'fsdp_tp' is refused: .* use trainer=fsdp"),
        (["trainer.strategy=fdsp"], "trainer.strategy: 'fdsp' is unknown; did you mean 'fsdp'"),
        (["trainer.sharding.gather=ternery"], "trainer.sharding.gather: 'ternery' is unknown"),
        (["trainer.sharding.reduce=never"], "trainer.sharding.reduce: 'never' is unknown"),
        (["optimizer=muon"], "optimizer: muon .* use optimizer=adamw"),
        (
            ["trainer.sharding.gather=ternary", "linear.engine=reference"],
            "trainer.sharding.gather: .*linear.engine=reference .*use gather=master",
        ),
        (
            ["trainer.sharding.gather=ternary", "quantization.warmup=0.5"],
            "trainer.sharding.gather: .*quantization.warmup .*use gather=master",
        ),
        (
            ["trainer.sharding.gather=ternary", "linear=dense"],
            "trainer.sharding.gather: .*dense layers",
        ),
        (
            ["trainer=ddp", "trainer.sharding.gather=master"],
            "trainer.sharding.gather: has no effect with trainer.strategy=ddp",
        ),
        (
            ["trainer=cpu", "trainer.sharding.regather=false"],
            "trainer.sharding.regather: has no effect .* or leave it true",
        ),
        (
            ["linear=dense", "compile_mode=reduce-overhead", "trainer.devices=1", "batch.size=4"],
            "compile_mode: ",
        ),
    ],
)
def test_refused(overrides: list[str], line: str) -> None:

    assert re.match(line, refusal(*overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["linear=dense"],
        ["linear.engine=reference"],
        ["quantization.warmup=0.5"],
        ["trainer.sharding.gather=ternary", "trainer.sharding.reduce=step"],
        ["trainer.sharding.gather=master", "trainer.sharding.regather=false"],
        ["linear=stage_bitnet", "trainer.sharding.gather=ternary"],
        ["linear=binary", "trainer.sharding.gather=ternary"],
    ],
)
def test_allowed(overrides: list[str]) -> None:
    validate(train_config(["trainer=fsdp", "batch.micro=4", *overrides]))


def test_slurm_asks_for_what_the_trainer_needs() -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    chosen = ["hydra/launcher=slurm", "trainer=fsdp", "trainer.nodes=4", "trainer.devices=8"]
    launcher = compose_config("train", chosen, with_hydra=True).hydra.launcher
    assert str(launcher._target_).endswith("SlurmLauncher")
    assert (launcher.nodes, launcher.tasks_per_node, launcher.gpus_per_node) == (4, 8, 8)
