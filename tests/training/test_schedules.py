"""Schedules at the points that the recipes publish."""

import pytest

from bitnet.training.schedules import Constant, Cosine, TwoStage

STEPS = 100_000


def at(schedule: TwoStage, step: int) -> tuple[float, float]:
    return schedule.at(step / STEPS)


def test_two_stage_is_the_papers_at_its_published_points() -> None:
    schedule = TwoStage(peak=1.5e-3, second_peak=1e-3, floor=3e-5, warmup=375 / STEPS)
    assert at(schedule, 375)[0] == pytest.approx(1.5e-3)
    assert at(schedule, 49_999)[0] == pytest.approx(7.678e-4, rel=1e-4)
    assert at(schedule, 50_000)[0] == pytest.approx(5.168e-4, rel=1e-4)
    assert at(schedule, STEPS)[0] == pytest.approx(3e-5)
    assert at(schedule, 49_999)[1] == 0.1
    assert at(schedule, 50_000)[1] == 0.0


def test_warmup_is_linear_from_zero() -> None:
    for schedule in (TwoStage(warmup=0.1), Cosine(warmup=0.1), Constant(warmup=0.1)):
        assert schedule.at(0.05)[0] == pytest.approx(schedule.peak / 2)
        assert schedule.at(0.001)[0] == pytest.approx(schedule.peak / 100)


def test_cosine_ends_at_its_fraction_and_is_half_way_in_the_middle() -> None:
    schedule = Cosine(peak=1.0, warmup=0.0, final=0.1)
    assert schedule.at(1.0)[0] == pytest.approx(0.1)
    assert schedule.at(0.5)[0] == pytest.approx(0.55)


def test_constant_stays() -> None:
    schedule = Constant(peak=2e-3, warmup=0.01)
    assert {schedule.at(p)[0] for p in (0.01, 0.5, 1.0)} == {2e-3}


@pytest.mark.parametrize(
    ("schedule", "word"),
    [
        (TwoStage(peak=-1.0, floor=-2.0), "peak"),
        (TwoStage(switch=0.001, warmup=0.01), "switch"),
        (TwoStage(floor=1.0), "floor"),
        (Cosine(final=2.0), "final"),
        (Constant(warmup=1.0), "warmup"),
        (Constant(weight_decay=-0.1), "weight_decay"),
    ],
)
def test_senseless_values_are_named(schedule: TwoStage, word: str) -> None:
    assert any(line.startswith(word) for line in schedule.problems())


def test_sensible_values_have_no_problems() -> None:
    assert not TwoStage().problems() + Cosine().problems() + Constant().problems()
