"""A config survives being written as plain data, and a resumed run keeps what it is."""

import pytest
from omegaconf import OmegaConf

from bitnet.config import ConfigError, TrainConfig
from bitnet.config.compose import train_config
from bitnet.config.instantiate import instantiate
from bitnet.config.saved import changed_identity, config_id, from_plain, kinds_of, to_plain, to_yaml


def saved(*overrides: str) -> tuple[TrainConfig, dict[str, object], dict[str, str]]:
    config = train_config(["debug=tiny", "schedule=cosine", *overrides])
    plain = OmegaConf.to_container(OmegaConf.create(to_yaml(config)))
    assert isinstance(plain, dict) and plain == to_plain(config)
    return config, {str(key): value for key, value in plain.items()}, kinds_of(config)


def test_what_is_read_back_is_what_was_written() -> None:
    config, plain, kinds = saved()
    assert from_plain(plain, kinds) == config


def test_single_values_can_be_changed() -> None:
    _, plain, kinds = saved()
    changed = from_plain(plain, kinds, ["budget.tokens=99", "schedule.final=0.3"])
    assert changed.budget.tokens == 99 and changed.schedule.final == 0.3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("model=bitnet/3b", "keeps its groups"),
        ("model.dimm=3", "did you mean 'dim'"),
        ("bduget=3", "did you mean 'budget'"),
        ("model.dim=wide", "whole number"),
        ("no sense", "key=value"),
    ],
)
def test_faulty_changes_are_explained(override: str, part: str) -> None:
    _, plain, kinds = saved()
    with pytest.raises(ConfigError, match=part):
        from_plain(plain, kinds, [override])


def test_what_a_run_is_cannot_be_changed() -> None:
    config, plain, kinds = saved()
    asked = from_plain(plain, kinds, ["model.dim=128", "seed=4", "stream.workers=2"])
    changes = changed_identity(config, asked)
    assert [line.split(":")[0] for line in changes] == ["seed", "model.dim"]
    assert "64" in changes[1] and "128" in changes[1]


def test_the_id_ignores_where_a_run_is_and_how_it_is_watched() -> None:
    first = config_id(saved()[0])
    assert config_id(saved("run_dir=elsewhere", "stream.workers=2", "callbacks=quiet")[0]) == first
    assert config_id(saved("seed=2")[0]) != first
    assert config_id(saved("data.megabytes_per_subset=1")[0]) != first


def test_only_known_packages_may_be_named() -> None:
    built = instantiate(
        "callbacks.extra.stop",
        {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "val/loss"},
    )
    assert built.monitor == "val/loss"
    with pytest.raises(ConfigError, match="is not allowed"):
        instantiate("callbacks.extra.x", {"_target_": "os.system", "command": "true"})
    with pytest.raises(ConfigError, match="needs _target_"):
        instantiate("callbacks.extra.x", {"monitor": "loss"})
    with pytest.raises(ConfigError, match="cannot be built"):
        instantiate(
            "callbacks.extra.x", {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "no": 1}
        )
