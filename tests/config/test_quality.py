"""Every choice of the group ``quality`` composes under ``bitnet prepare`` and is sound."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from bitnet.config import ConfigError
from bitnet.config.compose import compose_config
from bitnet.data.quality import QualitySpec
from tests.config.files import CONFIGS, choices

ON = {
    "none": "",
    "dedup": "exact near",
    "gopher_c4": "gopher c4",
    "all": "gopher c4 language exact near",
}


def quality(*overrides: str) -> QualitySpec:
    config = compose_config("prepare", ["output=x", *overrides])
    made = OmegaConf.to_object(config.quality)
    assert isinstance(made, QualitySpec)
    return made


def test_every_choice_is_known_here() -> None:
    assert set(choices(CONFIGS / "quality")) == ON.keys()


@pytest.mark.parametrize("name", ON)
def test_choices(name: str) -> None:
    spec = quality(f"quality={name}")
    assert spec.problems() == []
    assert [step for step, settings in spec.steps() if settings.enabled] == ON[name].split()


def test_nothing_is_left_out_unless_it_is_asked_for() -> None:
    assert not quality().enabled


def test_a_misspelt_step_is_named() -> None:
    with pytest.raises(ConfigError, match=r"quality\.gofer.*did you mean 'gopher'"):
        quality("quality.gofer.enabled=true")
