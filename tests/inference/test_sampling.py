"""Distributions against the definition, spelled out with sorted lists."""

import math

import pytest
import torch

from bitnet.inference import SamplingSpec, probabilities

LOGITS = torch.tensor([1.0, 3.0, 2.0, 0.0, 2.5])


def _by_definition(temperature: float, top_k: int, top_p: float) -> list[float]:
    scaled = [x / temperature for x in LOGITS.tolist()]
    order = sorted(range(len(scaled)), key=lambda i: -scaled[i])
    kept = order[: top_k or None]
    total = sum(math.exp(scaled[i]) for i in kept)
    shares = {i: math.exp(scaled[i]) / total for i in kept}
    nucleus, reached = [], 0.0
    for i in kept:
        if reached >= top_p:
            break
        nucleus.append(i)
        reached += shares[i]
    return [shares[i] / reached if i in nucleus else 0.0 for i in range(len(scaled))]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [0, 1, 3, 9])
@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.5, 0.01])
def test_distribution(temperature: float, top_k: int, top_p: float) -> None:
    got = probabilities(LOGITS, SamplingSpec(temperature, top_k, top_p))
    assert got.tolist() == pytest.approx(_by_definition(temperature, top_k, top_p), abs=1e-6)


def test_greedy_puts_all_on_one() -> None:
    assert probabilities(LOGITS, SamplingSpec()).tolist() == [0, 1, 0, 0, 0]


def test_problems_name_the_field() -> None:
    spec = SamplingSpec(temperature=-1, top_k=-1, top_p=0, max_new_tokens=0)
    fields = [line.split(":")[0] for line in spec.problems()]
    assert fields == ["temperature", "top_k", "top_p", "max_new_tokens"]
    assert SamplingSpec().problems() == []
