"""Lambda against tokens, and that a run is told of what cannot work."""

from math import exp

import pytest

from bitnet.training.quantization import SHAPES, QuantizationWarmup

BUDGET = 1000


def test_off_means_whole_from_the_start() -> None:
    assert not QuantizationWarmup().is_on
    assert QuantizationWarmup().share(1, BUDGET) == 1.0
    assert not QuantizationWarmup(warmup=0.5, warmup_tokens=0).is_on


@pytest.mark.parametrize("spec", [{"warmup": 0.2}, {"warmup_tokens": 200}])
def test_linear_is_the_share_done(spec: dict[str, float]) -> None:
    warmup = QuantizationWarmup(**spec)
    assert warmup.is_on
    assert [warmup.share(tokens, BUDGET) for tokens in (1, 50, 100)] == [0.005, 0.25, 0.5]


def test_exponential_and_sigmoid_are_the_published_formulas() -> None:
    exponential = QuantizationWarmup(warmup=1.0, shape="exponential", steepness=6.0)
    sigmoid = QuantizationWarmup(warmup=1.0, shape="sigmoid", steepness=15.0)
    for tokens in (1, 250, 500, 900):
        x = tokens / BUDGET
        assert exponential.share(tokens, BUDGET) == pytest.approx(1 - (1 - x) ** 6)
        assert sigmoid.share(tokens, BUDGET) == pytest.approx(1 / (1 + exp(-15 * (x - 0.5))))
    assert QuantizationWarmup(warmup=1.0, shape="sigmoid").share(400, BUDGET) == pytest.approx(
        1 / (1 + exp(10))
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_it_rises_and_is_exactly_one_from_the_end_on(shape: str) -> None:
    warmup = QuantizationWarmup(warmup=0.5, shape=shape)
    values = [warmup.share(tokens, BUDGET) for tokens in range(1, BUDGET + 1)]
    assert values == sorted(values)
    assert 0 <= values[0] < 0.01 and values[499:] == [1.0] * 501


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (QuantizationWarmup(warmup=1.5), "warmup"),
        (QuantizationWarmup(warmup_tokens=-1), "warmup_tokens"),
        (QuantizationWarmup(shape="sigmod"), "shape: 'sigmod' is unknown; did you mean 'sigmoid'?"),
        (QuantizationWarmup(steepness=5.0), "steepness: 5.0 means nothing to shape=linear"),
        (QuantizationWarmup(shape="sigmoid", steepness=0.0), "steepness: 0.0 must be above 0"),
    ],
)
def test_senseless_values_are_named(spec: QuantizationWarmup, word: str) -> None:
    assert any(line.startswith(word) for line in spec.problems())
    assert not QuantizationWarmup().problems()


def test_what_does_not_fit_the_run_is_named() -> None:
    longer = QuantizationWarmup(warmup_tokens=1001)
    assert "exceeds budget.tokens=1000" in longer.run_problems(BUDGET, quantises=True)[0]
    assert "dense" in QuantizationWarmup(warmup=0.1).run_problems(BUDGET, quantises=False)[0]
    assert not QuantizationWarmup(warmup=1.0).run_problems(BUDGET, quantises=True)
    assert not QuantizationWarmup().run_problems(BUDGET, quantises=False)
