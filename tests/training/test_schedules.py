"""Schedules at the points that the recipes publish, and by formulas written out again."""

import math

import pytest

from bitnet.training.schedules import (
    Constant,
    Cosine,
    Linear,
    Polynomial,
    Schedule,
    TwoStage,
    WarmupStableDecay,
)

STEPS, BATCH = 100_000, 2**20
BUDGET = STEPS * BATCH
KINDS = (Constant, Cosine, Linear, Polynomial, TwoStage, WarmupStableDecay)


def at(schedule: Schedule, step: int) -> tuple[float, float]:
    return schedule.at(step * BATCH, BUDGET)


@pytest.mark.parametrize("warmup", [{"warmup": 375 / STEPS}, {"warmup_tokens": 375 * BATCH}])
def test_two_stage_is_the_papers_at_its_published_points(warmup: dict[str, float]) -> None:
    schedule = TwoStage(peak=1.5e-3, **warmup)
    assert at(schedule, 375)[0] == pytest.approx(1.5e-3)
    assert at(schedule, 49_999)[0] == pytest.approx(7.678e-4, rel=1e-4)
    assert at(schedule, 50_000)[0] == pytest.approx(5.168e-4, rel=1e-4)
    assert at(schedule, STEPS)[0] == pytest.approx(3e-5)
    assert at(schedule, 49_999)[1] == 0.1
    assert at(schedule, 50_000)[1] == 0.0
    for step in (1_000, 20_000, 70_000, 99_999):
        peak = 1.5e-3 if step < 50_000 else 1e-3
        expected = 3e-5 + (peak - 3e-5) * (STEPS - step) / (STEPS - 375)
        assert at(schedule, step)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("peak", [1.5e-3, 1.2e-3])
def test_second_peak_and_floor_follow_the_peak_as_published(peak: float) -> None:
    second = {1.5e-3: 1e-3, 1.2e-3: 8e-4}[peak]
    given = TwoStage(peak=peak, second_peak=second, floor=0.02 * peak)
    for step in (1, 40_000, 60_000, STEPS):
        assert at(TwoStage(peak=peak), step)[0] == pytest.approx(at(given, step)[0])


def test_two_stage_with_cosines_bends_each_stage() -> None:
    schedule = TwoStage(peak=1.0, second_peak=0.5, floor=0.0, warmup=0.0, form="cosine")
    assert at(schedule, 25_000)[0] == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert at(schedule, 75_000)[0] == pytest.approx(0.5 * (1 + math.cos(3 * math.pi / 4)) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_warmup_is_linear_from_zero(kind: type[Schedule]) -> None:
    for schedule in (kind(warmup=0.1), kind(warmup_tokens=BUDGET // 10)):
        assert at(schedule, 5_000)[0] == pytest.approx(schedule.peak / 2)
        assert at(schedule, 100)[0] == pytest.approx(schedule.peak / 100)
        assert at(schedule, 10_000)[0] == pytest.approx(schedule.peak)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Cosine(peak=1.0, warmup=0.0, final=0.1), {0.5: 0.55, 1.0: 0.1}),
        (Linear(peak=1.0, warmup=0.2, final=0.1), {0.2: 1.0, 0.6: 0.55, 1.0: 0.1}),
        (Polynomial(peak=1.0, warmup=0.0, power=2.0), {0.5: 0.25, 0.75: 0.0625, 1.0: 0.0}),
        (Polynomial(peak=1.0, warmup=0.0, power=3.0, final=0.2), {0.5: 0.3, 1.0: 0.2}),
        (Constant(peak=1.0, warmup=0.01), {0.01: 1.0, 0.5: 1.0, 1.0: 1.0}),
        (WarmupStableDecay(peak=1.0, decay=0.2), {0.8: 1.0, 0.85: 0.5, 1.0: 0.0}),
        (
            WarmupStableDecay(peak=1.0, decay=0.2, form="linear", final=0.5),
            {0.5: 1.0, 0.9: 0.75, 1.0: 0.5},
        ),
        (WarmupStableDecay(peak=1.0, decay=0.4, form="cosine"), {0.6: 1.0, 0.8: 0.5, 1.0: 0.0}),
        (WarmupStableDecay(peak=1.0, decay=0.0), {0.5: 1.0, 1.0: 1.0}),
    ],
)
def test_forms_pass_through_their_points(schedule: Schedule, values: dict[float, float]) -> None:
    for progress, expected in values.items():
        found = schedule.at(round(progress * BUDGET), BUDGET)[0]
        assert found == pytest.approx(expected, abs=1e-6), progress


@pytest.mark.parametrize("kind", KINDS)
def test_a_horizon_beyond_the_budget_is_a_piece_of_the_longer_run(kind: type[Schedule]) -> None:
    """RedPajama-Pythia-7B: drawn over 1T tokens, trained for 440B."""
    part, whole = kind(horizon_tokens=10**12), kind()
    for tokens in (10**9, 10**11, 44 * 10**10):
        assert part.at(tokens, 44 * 10**10) == whole.at(tokens, 10**12)
    assert not part.budget_problems(44 * 10**10)


@pytest.mark.parametrize("kind", KINDS)
def test_beyond_the_horizon_the_last_values_hold(kind: type[Schedule]) -> None:
    schedule = kind(horizon_tokens=BUDGET // 2)
    assert at(schedule, STEPS) == at(schedule, STEPS // 2) == kind().at(BUDGET, BUDGET)


@pytest.mark.parametrize(
    ("schedule", "word"),
    [
        (TwoStage(peak=-1.0), "peak"),
        (TwoStage(switch=1.5), "switch"),
        (TwoStage(floor=1.0), "floor"),
        (TwoStage(second_peak=1e-5), "floor"),
        (TwoStage(form="sqrt"), "form"),
        (Cosine(final=2.0), "final"),
        (Constant(warmup=1.0), "warmup"),
        (Constant(warmup_tokens=-1), "warmup_tokens"),
        (Constant(horizon_tokens=0), "horizon_tokens"),
        (Constant(weight_decay=-0.1), "weight_decay"),
        (Polynomial(power=0.0), "power"),
        (WarmupStableDecay(decay=1.5), "decay"),
        (WarmupStableDecay(form="cosin"), "form: 'cosin' is unknown; did you mean 'cosine'?"),
    ],
)
def test_senseless_values_are_named(schedule: Schedule, word: str) -> None:
    assert any(line.startswith(word) for line in schedule.problems())


@pytest.mark.parametrize(
    ("schedule", "word"),
    [
        (Cosine(warmup_tokens=1000), "warmup_tokens: 1000 must be less than budget.tokens=1000"),
        (
            Cosine(warmup_tokens=500, horizon_tokens=400),
            "warmup_tokens: 500 must be less than sche",
        ),
        (TwoStage(switch=0.001, warmup=0.01), "switch"),
        (TwoStage(warmup_tokens=600), "switch"),
        (WarmupStableDecay(warmup=0.5, decay=0.6), "decay"),
        (WarmupStableDecay(warmup_tokens=900), "decay"),
    ],
)
def test_what_does_not_fit_the_budget_is_named(schedule: Schedule, word: str) -> None:
    assert not schedule.problems()
    found = schedule.budget_problems(1000)
    assert len(found) == 1 and found[0].startswith(word)


def test_sensible_values_have_no_problems() -> None:
    for kind in KINDS:
        assert not kind().problems() + kind().budget_problems(BUDGET)
