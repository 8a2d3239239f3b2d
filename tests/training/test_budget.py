"""Tokens into steps."""

from bitnet.training import StepPlan


def test_the_budget_is_rounded_up_to_whole_steps() -> None:
    assert StepPlan(10_001, 1000, 1).steps == 11
    assert StepPlan(10_000, 1000, 4).steps == 10


def test_a_cadence_falls_on_the_nearest_step_and_always_on_the_last() -> None:
    plan = StepPlan(total_tokens=10_000, tokens_per_step=1000, accumulate=1)
    due = [step for step in range(plan.steps + 1) if plan.due(step, 3_400)]
    assert due == [3, 6, 9, 10]


def test_a_cadence_finer_than_a_step_is_every_step() -> None:
    plan = StepPlan(total_tokens=3_000, tokens_per_step=1000, accumulate=1)
    assert [step for step in range(4) if plan.due(step, 10)] == [1, 2, 3]


def test_zero_switches_a_cadence_off() -> None:
    plan = StepPlan(total_tokens=3_000, tokens_per_step=1000, accumulate=1)
    assert not any(plan.due(step, 0) for step in range(4))
