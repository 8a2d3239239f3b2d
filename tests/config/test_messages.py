"""Every fault of a configuration is one line with the full path and the nearest valid name."""

from pathlib import Path

import pytest

from bitnet.config import ConfigError, validate
from bitnet.config.compose import compose_config, to_object, train_config


def fault(*overrides: str, config_dir: Path | None = None) -> str:
    folder = None if config_dir is None else str(config_dir)
    with pytest.raises(ConfigError) as caught:
        validate(to_object(compose_config("train", list(overrides), folder)))
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model.dimm=512", ["model.dimm", "did you mean 'dim'?", "layers"]),
        ("model.dim=3.7", ["model.dim", "'3.7'", "whole number"]),
        ("seed=abc", ["seed", "'abc'", "whole number"]),
        ("schedule.peek=1", ["schedule.peek", "'peak'"]),
        ("schedule=cosin", ["schedule=cosin", "did you mean 'cosine'?", "two_stage"]),
        ("model=bitnet/701m", ["model=bitnet/701m", "bitnet/700m"]),
        ("experiment=redpajama_10", ["experiment=redpajama_10", "did you mean 'redpajama_10m'?"]),
        ("modle=x", ["modle", "did you mean 'model'?"]),
        ("batch=3", ["batch", "is a section", "micro"]),
        ("mix.weights.comon_crawl=0.2", ["mix.weights.comon_crawl", "'common_crawl'"]),
        ("mix.wieghts.c4=0.2", ["mix.wieghts", "'weights'"]),
        ("+model.foo=1", ["model.foo", "there is no such key"]),
        ("+sede=1", ["sede", "did you mean 'seed'?"]),
        ("callbacks.samples.sampling.temprature=1", ["sampling.temprature", "'temperature'"]),
        ("linear.kind=bitnt", ["linear.kind", "'bitnet'"]),
        ("logger.wandb.mode=onlin", ["logger.wandb.mode", "'online'"]),
        ("compile=of", ["compile", "always"]),
        ("compile_mode=max", ["compile_mode", "max-autotune"]),
        ("trainer.cpu_allocator=page", ["trainer.cpu_allocator", "'pages'", "system"]),
        ("batch.recompute=every", ["batch.recompute", "every_2", "selective"]),
        ("batch.loss_chunk=-5", ["batch.loss_chunk", "-5", "negative"]),
        ("batch.loss_chunk=few", ["batch.loss_chunk", "'few'", "whole number"]),
        ("mix.weights.c4=0.5", ["mix.weights", "1.35"]),
        ("seed", ["'seed'", "key=value"]),
    ],
)
def test_one_line_names_path_and_cure(override: str, parts: list[str]) -> None:
    message = fault(override)
    assert len(message.splitlines()) == 1
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("model:\n  dimm: 12\n", ["model.dimm", "'dim'"]),
        ("model:\n  dim: big\n", ["model.dim", "'big'", "whole number"]),
        ("schedul:\n  peak: 3\n", ["schedul", "'schedule'"]),
        ("defaults:\n  - override /modle: bitnet/pocket\n", ["modle", "'model'"]),
    ],
)
def test_experiment_files_are_held_to_the_same(
    tmp_path: Path, content: str, parts: list[str]
) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{content}", "utf-8")
    message = fault("experiment=mine", config_dir=tmp_path)
    assert len(message.splitlines()) == 1
    for part in parts:
        assert part in message


def test_all_problems_come_at_once() -> None:
    message = fault(
        "batch.size=10", "model.heads=7", "compile=of", "schedule.warmup=2", "mix.weights.c4=1"
    )
    paths = {line.split(":")[0] for line in message.splitlines()}
    assert paths >= {"batch.size", "model.heads", "compile", "schedule.warmup", "mix.weights"}


def test_a_sequence_longer_than_the_model_is_named() -> None:
    assert "batch.sequence_length: 4096 exceeds" in fault("batch.sequence_length=4096")


def test_the_default_is_sound() -> None:
    validate(train_config([]))
