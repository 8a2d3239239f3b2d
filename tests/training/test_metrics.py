"""Loss by source, held against sums made by hand."""

from math import exp, log

import pytest
import torch

from bitnet.training.metrics import SourceLoss

LENGTHS = torch.tensor([0, 1, 4])


def filled(weights: list[float] | None = None) -> SourceLoss:
    metric = SourceLoss(["a", "b", "never"], LENGTHS, weights)
    nll = torch.tensor([[1.0, 2.0], [3.0, 5.0], [1.0, 1.0]])
    targets = torch.tensor([[1, 2], [2, 2], [0, 1]])
    metric.update(nll, targets, torch.tensor([0, 1, 0]))
    return metric


def test_losses_are_means_over_tokens() -> None:
    result = filled().compute()
    assert result["loss/a"] == pytest.approx(5 / 4)
    assert result["loss/b"] == pytest.approx(8 / 2)
    assert result["loss"] == pytest.approx(13 / 6)
    assert result["perplexity"] == pytest.approx(exp(13 / 6))


def test_bits_per_byte_counts_the_text_behind_the_tokens() -> None:
    result = filled().compute()
    assert result["bits_per_byte/a"] == pytest.approx(5 / log(2) / 6)
    assert result["bits_per_byte/b"] == pytest.approx(8 / log(2) / 8)
    assert result["bits_per_byte"] == pytest.approx(13 / log(2) / 14)


def test_a_weighted_total_is_that_of_the_mix_not_of_what_was_measured() -> None:
    result = filled([0.9, 0.1, 0.0]).compute()
    assert result["loss"] == pytest.approx(0.9 * 5 / 4 + 0.1 * 4)
    assert result["bits_per_byte"] == pytest.approx(
        (0.9 * 5 / 4 + 0.1 * 4) / log(2) / (0.9 * 6 / 4 + 0.1 * 4)
    )


def test_a_source_that_never_came_has_no_number() -> None:
    assert "loss/never" not in filled().compute()
    assert SourceLoss(["a"], LENGTHS).compute() == {}


def test_updates_add_up_and_reset_forgets() -> None:
    metric = filled()
    metric.update(torch.tensor([[2.0]]), torch.tensor([[1]]), torch.tensor([2]))
    assert metric.compute()["loss/never"] == 2.0
    metric.reset()
    assert metric.compute() == {}
