"""Every YAML composes, validates, and says what it should."""

import json
import math

import pytest

from bitnet.commands.build import step_plan
from bitnet.config import validate
from bitnet.config.compose import expand_sweep, train_config
from bitnet.data import resolved
from tests.config.files import CONFIGS, EXPERIMENTS, JOBS, STUDIES, SWEEPS, choices, composed

GROUPS = ("linear", "data", "mix", "optimizer", "schedule", "trainer", "precision")
GROUPS += ("logger", "callbacks", "debug")

EVERY_CHOICE = [f"{group}={name}" for group in GROUPS for name in choices(CONFIGS / group)]
MIXES = choices(CONFIGS / "mix")
STEPS = {
    "arithmetic": 10_000,
    "bitnet_1_3b_redpajama_100b": 100_000,
    "bitnet_3b_redpajama_100b": 100_000,
    "bitnet_700m_redpajama_100b": 100_000,
    "cerebras_111m": 9_037,
    "cerebras_111m_mup": 9_037,
    "fineweb_edu_95m": 400_000,
    "glort2": 9_037,
    "incite_3b": 190_735,
    "incite_7b": 238_657,
    "llama_119m": 9_037,
    "llama_1_3b_redpajama_100b": 100_000,
    "llama_369m": 9_037,
    "llama_3b_redpajama_100b": 100_000,
    "llama_700m_redpajama_100b": 100_000,
    "llama_to_bitnet": 5_000,
    "mosaic_1b_redpajama_200b": 44_389,
    "redpajama_10m": 1_024,
    "redpajama_dolma": 100_000,
    "redpajama_pythia_7b": 104_904,
    "tictactoe": 15_000,
    "tinystories": 30_000,
    **{f"twins_10m/{name}": 256 for name in ("bitnet", "dense", "glort2", "mosaic", "pythia")},
}


@pytest.mark.parametrize("choice", EVERY_CHOICE)
def test_every_choice_of_every_group_composes_and_validates(choice: str) -> None:
    if choice == "trainer=fsdp_tp":
        pytest.skip("is there to be refused: tests/commands/test_fsdp_refused.py")
    extra = ["batch.micro=4"] if choice in ("trainer=ddp", "trainer=fsdp") else []
    validate(composed(choice, *extra))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes_and_takes_its_steps(name: str) -> None:
    config = composed(f"experiment={name}")
    validate(config)
    plan = step_plan(config)
    assert plan.steps == STEPS[name]
    assert plan.tokens_at(plan.steps) == config.budget.tokens


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_can_be_tried_out_anywhere(name: str) -> None:
    anywhere = ["data=pocket", "mix=llama", "tokenizer=pocket"]
    validate(train_config([f"experiment={name}", "debug=tiny", *anywhere]))


@pytest.mark.parametrize("job", JOBS, ids=" ".join)
def test_every_job_of_every_sweep_composes(job: list[str]) -> None:
    validate(composed(*job))


@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_sweep_composes_before_anything_is_swept(sweep: str) -> None:
    config = composed(f"sweep={sweep}")
    if "data.root=DIR" in (STUDIES / "sweep" / f"{sweep}.yaml").read_text("utf-8"):
        assert hasattr(config.data, "root")


@pytest.mark.parametrize("name", MIXES)
def test_mixes_are_shares(name: str) -> None:
    mix = composed(f"mix={name}").mix
    if mix.rule != "weights":
        mix = resolved(mix, {"a": 5.0, "b": 2.0})
    for weights in (mix.weights, *(stage.weights for stage in mix.stages)):
        assert math.fsum(weights.values()) == pytest.approx(1, abs=1e-12)


def test_mosaics_mix_is_llamas_as_published() -> None:
    assert composed("mix=mosaic").mix == composed("mix=llama").mix


@pytest.mark.parametrize("left_out", choices(CONFIGS / "mix" / "llama_without"))
def test_a_mix_without_a_source_keeps_the_other_proportions(left_out: str) -> None:
    whole = composed("mix=llama").mix.weights
    rest = composed(f"mix=llama_without/{left_out}").mix.weights
    assert rest.keys() == whole.keys() and rest[left_out] == 0
    for name in whole.keys() - {left_out}:
        assert rest[name] == pytest.approx(whole[name] / (1 - whole[left_out]), abs=2e-7)


def test_every_file_opens_with_a_line_for_the_help() -> None:
    files = [*CONFIGS.rglob("*/*.yaml"), *STUDIES.rglob("*.yaml")]
    assert len(files) > 100
    for file in files:
        lines = file.read_text("utf-8").splitlines()
        first = next(line for line in lines if not line.startswith("# @package"))
        assert first.startswith("# ") and len(first) <= 80, file
        assert all(len(line) <= 100 for line in lines), file


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
    assert train_config(["mix=llama"]).mix.weights == expected
    published = composed("data=redpajama_1t").data.published_tokens
    assert published.keys() == expected.keys() and sum(published.values()) == 1.21e12


def test_a_sweep_is_every_combination() -> None:
    jobs = expand_sweep(["linear=bitnet,dense", "seed=1,2", "name=x"])
    assert len(jobs) == 4 and ["linear=dense", "seed=2", "name=x"] in jobs
    assert json.dumps(jobs)
