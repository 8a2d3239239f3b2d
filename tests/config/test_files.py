"""Every YAML composes, validates, and says what it should."""

import json
from pathlib import Path

import pytest
import torch

from bitnet.config import validate
from bitnet.config.compose import expand_sweep, train_config
from bitnet.config.paths import config_home
from bitnet.nn import Transformer

CONFIGS = config_home() / "configs"
GROUPS = ("model", "linear", "data", "mix", "optimizer", "schedule", "trainer", "precision")
GROUPS += ("logger", "callbacks", "debug")


def choices(folder: Path) -> list[str]:
    return sorted(f.relative_to(folder).with_suffix("").as_posix() for f in folder.rglob("*.yaml"))


EVERY_CHOICE = [f"{group}={name}" for group in GROUPS for name in choices(CONFIGS / group)]
EXPERIMENTS = choices(config_home() / "conf_experiments" / "experiment")


@pytest.mark.parametrize("choice", EVERY_CHOICE)
def test_every_choice_of_every_group_composes_and_validates(choice: str) -> None:
    extra = ["data.root=somewhere"] if "local" in choice else []
    if choice == "trainer=ddp":
        extra = ["batch.micro=4"]
    validate(train_config([choice, *extra]))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes_and_validates(name: str) -> None:
    validate(train_config([f"experiment={name}", "data.root=somewhere"]))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("700m", 728_629_248),
        ("1_3b", 1_273_298_944),
        ("3b", 3_323_904_000),
        ("3_9b", 4_362_240_000),
    ],
)
@pytest.mark.parametrize("linear", ["bitnet", "dense"])
def test_presets_have_their_published_size(name: str, parameters: int, linear: str) -> None:
    config = train_config([f"model=bitnet/{name}", f"linear={linear}"])
    with torch.device("meta"):
        net = Transformer(config.model, config.linear)
    # The published counts are of matrices; norm gains come on top.
    assert sum(p.numel() for p in net.parameters() if p.ndim == 2) == parameters
    gains = config.model.layers * (3 * config.model.dim + config.model.ffn_dim) + config.model.dim
    assert net.parameter_counts()["total"] == parameters + gains


def test_the_llama_mix_is_the_published_one() -> None:
    expected = {
        "common_crawl": 0.67,
        "c4": 0.15,
        "github": 0.045,
        "wikipedia": 0.045,
        "book": 0.045,
        "arxiv": 0.025,
        "stackexchange": 0.02,
    }
    assert train_config(["mix=llama"]).mix == expected


def test_a_sweep_is_every_combination() -> None:
    jobs = expand_sweep(["linear=bitnet,dense", "seed=1,2", "name=x"])
    assert len(jobs) == 4 and ["linear=dense", "seed=2", "name=x"] in jobs
    assert json.dumps(jobs)
