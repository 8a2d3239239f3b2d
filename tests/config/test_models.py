"""Every model file builds with its published count, in every kind of linear, and trains."""

from dataclasses import replace

import pytest
import torch

from bitnet.config import validate
from bitnet.nn import LinearSpec, ModelShape, Transformer, combination_problems
from tests.config.files import CONFIGS, EXPERIMENTS, MODELS, composed, model

# Where a source counts matrices only, so does the table; else everything.
MATRICES = {
    "bitnet/700m": 728_629_248,
    "bitnet/1_3b": 1_273_298_944,
    "bitnet/3b": 3_323_904_000,
    "bitnet/3_9b": 4_362_240_000,
    "bitnet/7b": 6_738_149_376,
    "bitnet/13b": 13_015_449_600,
    "bitnet/30b": 32_528_138_240,
    "bitnet/70b": 68_975_329_280,
    "glort2": 204_472_320,
    # Their vocabulary is the tokenizer's, here 4,096.
    "bitnet/pocket": 4_259_840,
    "cerebras_mup/ladder": 4_718_592,
}
TOTALS = {
    "bitnet/2b4t": 2_412_820_480,
    "llama/7b": 6_738_415_616,
    "llama/13b": 13_015_864_320,
    "llama/33b": 32_528_943_616,
    "llama/65b": 65_285_660_672,
    "llama/3_8b": 8_030_261_248,
    "llama/119m": 118_963_968,
    "llama/369m": 369_114_880,
    "pythia/14m": 14_067_712,
    "pythia/31m": 30_494_720,
    "pythia/70m": 70_426_624,
    "pythia/160m": 162_322_944,
    "pythia/410m": 405_334_016,
    "pythia/1b": 1_011_781_632,
    "pythia/1_4b": 1_414_647_808,
    "pythia/2_8b": 2_775_208_960,
    "pythia/6_9b": 6_857_302_016,
    "pythia/12b": 11_846_072_320,
    "redpajama/pythia_7b": 6_857_302_016,
    "redpajama/incite_3b": 2_775_864_320,
    "redpajama/incite_7b": 6_857_302_016,
    "mosaic/1b": 1_311_442_944,
    "cerebras/111m": 111_050_496,
    "cerebras/256m": 255_977_024,
    "cerebras/590m": 590_310_912,
    "cerebras/1_3b": 1_315_723_264,
    "cerebras/2_7b": 2_651_553_280,
    "dcgrigsby/arithmetic": 3_162_368,
    "dcgrigsby/tictactoe": 10_647_936,
    "dcgrigsby/tinystories": 11_422_080,
    "dcgrigsby/95m": 95_410_944,
}
TOTALS |= {name.replace("/", "_mup/"): n for name, n in TOTALS.items() if "cerebras/" in name}

OWN_LINEAR = {"bitnet": "bitnet", "glort2": "stage", "dcgrigsby": "bitnet_double_norm"}
KINDS = ("dense", "bitnet", "binary", "stage")
SIZES = {"dim", "layers", "head_dim", "ffn_dim", "vocab_size", "max_sequence_length"}


def test_no_model_is_missing_from_the_tables() -> None:
    assert sorted(MATRICES.keys() | TOTALS.keys()) == MODELS


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_its_published_count(name: str) -> None:
    linear = OWN_LINEAR.get(name.split("/")[0], "dense")
    config = model(name, f"linear={linear}", "batch.sequence_length=64")
    validate(config)
    shape = replace(config.model, vocab_size=config.model.vocab_size or 4096)
    with torch.device("meta"):
        net = Transformer(shape, config.linear)
    if name in MATRICES:
        assert sum(p.numel() for p in net.parameters() if p.ndim == 2) == MATRICES[name]
    else:
        assert net.parameter_counts()["total"] == TOTALS[name]
    if shape == config.model:
        first_line = (CONFIGS / "model" / f"{name}.yaml").read_text("utf-8").splitlines()[0]
        assert f"{(MATRICES | TOTALS)[name]:,}" in first_line


@pytest.mark.parametrize("name", MODELS)
def test_tiny_keeps_the_family(name: str) -> None:
    whole, tiny = vars(model(name).model), vars(model(name, "debug=tiny").model)
    assert whole.keys() >= SIZES
    may_change = SIZES | ({"embedding_dim"} if whole["embedding_dim"] else set())
    if name == "cerebras_mup/ladder":
        may_change |= {"name", "heads"}  # they follow from its width
    assert {key for key in whole if whole[key] != tiny[key]} <= may_change
    assert tiny["dim"] == 64
    assert (tiny["embedding_dim"] is None) == (whole["embedding_dim"] is None)


def linear(name: str) -> LinearSpec:
    return model("bitnet/pocket", "debug=tiny", f"linear={name}").linear


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_model_in_every_linear_trains_or_is_refused(name: str, kind: str) -> None:
    shape = replace(model(name, "debug=tiny").model, vocab_size=64)
    problems = combination_problems(shape, linear(kind))
    if problems:
        assert kind == "stage" and shape.mup_base_dim is not None
        with pytest.raises(ValueError, match="kind: muP has no rule"):
            Transformer(shape, linear(kind))
    else:
        takes_steps(shape, linear(kind))


@pytest.mark.parametrize(
    ("name", "kind"), [("glort2", "stage_bitnet"), ("dcgrigsby/95m", "bitnet_double_norm")]
)
def test_models_train_in_the_linear_made_for_them(name: str, kind: str) -> None:
    takes_steps(replace(model(name, "debug=tiny").model, vocab_size=64), linear(kind))


def takes_steps(shape: ModelShape, spec: LinearSpec) -> None:
    """Three steps on one batch: the loss falls and every parameter moves."""
    torch.manual_seed(0)
    net = Transformer(shape, spec)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.0)
    tokens = torch.randint(0, 64, (2, 17))
    losses = [step(net, optimizer, tokens) for _ in range(3)]
    assert losses[2] < losses[0]
    still = [key for key, value in net.named_parameters() if torch.equal(value, before[key])]
    assert not still, still


def step(net: Transformer, optimizer: torch.optim.Optimizer, tokens: torch.Tensor) -> float:
    loss = net.nll(tokens[:, :-1], tokens[:, 1:]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


TWINS = [name for name in EXPERIMENTS if name.startswith("twins_10m/")]


@pytest.mark.parametrize("name", TWINS)
def test_the_10m_twins_are_of_one_size(name: str) -> None:
    config, first = (composed(f"experiment={each}") for each in (name, "twins_10m/bitnet"))
    counts = []
    for each in (config, first):
        with torch.device("meta"):
            net = Transformer(replace(each.model, vocab_size=50_304), each.linear)
        found = net.parameter_counts()
        counts.append(found["total"] - found["embedding"])
        assert found["embedding"] == 50_304 * 128 and found["total"] < 10_000_000
    assert counts[0] == pytest.approx(counts[1], rel=0.03)
    same = ("budget", "batch", "tokenizer", "schedule", "optimizer", "mix", "data", "validation")
    assert all(getattr(config, key) == getattr(first, key) for key in same)
