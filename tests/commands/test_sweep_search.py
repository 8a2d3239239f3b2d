"""A search with Optuna: its space, its study, and what a relaunch does; trials are played here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from bitnet.commands.sweeping.optuna_sweeper import OptunaSweeper
from bitnet.commands.sweeping.result import JobResult
from bitnet.commands.sweeping.search_space import Axis, probes, split
from bitnet.commands.sweeping.study import (
    STEPS,
    address,
    check_study,
    open_storage,
    open_study,
    reporter,
)
from bitnet.config import ConfigError
from bitnet.config.schema import TrialSpec
from bitnet.config.sweeping import OptunaSpec

optuna = pytest.importorskip("optuna", reason="needs the extra bitnet[optuna]")

Play = Callable[[list[str]], JobResult]


class Stage:
    """A launcher that plays trials instead of running them."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.jobs: list[list[str]] = []
        self.batches: list[int] = []

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        self.batches.append(len(jobs))
        returns = []
        for job in jobs:
            self.jobs.append(list(job))
            made = JobReturn(job, status=JobStatus.COMPLETED)
            made.return_value = self.play(list(job))
            returns.append(made)
        return returns


def search(folder: Path, play: Play, *arguments: str, jobs: int = 1, **settings: Any) -> Stage:
    sweeper = OptunaSweeper(**vars(OptunaSpec(**settings)) | {"_target_": ""})
    stage = Stage(play)
    sweeper.launcher = stage  # type: ignore[assignment]
    sweeper.config = OmegaConf.create(
        {"hydra": {"sweep": {"dir": str(folder)}, "launcher": {"jobs": jobs}}}
    )
    sweeper.hydra = sweeper.config.hydra
    sweeper.sweep(list(arguments))
    return stage


def value_of(job: list[str], key: str) -> str:
    return next(each.partition("=")[2] for each in job if each.startswith(f"{key}="))


def finished(job: list[str]) -> JobResult:
    """Best where eps is 1e-8."""
    return JobResult(abs(math.log10(float(value_of(job, "optimizer.eps"))) + 8), "finished")


EPS = "optimizer.eps=tag(log, interval(1e-9, 1e-7))"


def trials(folder: Path) -> list[Any]:
    study = optuna.load_study(
        study_name=folder.name, storage=open_storage(address(OptunaSpec(), folder))
    )
    return list(study.trials)


def test_the_space_is_what_hydra_says() -> None:
    lines = ["seed=5", EPS, "batch.size=range(8,33,8)", "model.layers=int(interval(2,6))"]
    lines += ["linear=bitnet,dense", "seed=7", "x=range(0.1,0.35,0.1)"]
    axes, fixed = split(OptunaSpec(params={"linear": "choice(dense)"}), lines)
    assert fixed == ["seed=7"]
    assert axes == [
        Axis("linear", choices=("bitnet", "dense")),
        Axis("optimizer.eps", 1e-9, 1e-7, log=True),
        Axis("batch.size", 8, 32, whole=True, step=8),
        Axis("model.layers", 2, 6, whole=True, step=1),
        Axis("x", 0.1, pytest.approx(0.3), step=0.1),
    ]
    assert axes[2].values == (8, 16, 24, 32) and axes[1].values is None
    assert axes[3].distribution() == optuna.distributions.IntDistribution(2, 6)
    assert axes[1].written(2e-9) == "2e-09" and axes[2].written(16.0) == "16"


def test_probes_reach_every_end() -> None:
    jobs = probes(OptunaSpec(), ["seed=1", EPS, "linear=bitnet,dense"])
    assert jobs[0] == ["seed=1", "optimizer.eps=1e-09", "linear=bitnet"]
    assert [job[1:] for job in jobs[1:]] == [
        ["optimizer.eps=1e-07", "linear=bitnet"],
        ["optimizer.eps=1e-09", "linear=dense"],
    ]


@pytest.mark.parametrize(
    ("spec", "lines", "message"),
    [
        (OptunaSpec(), ["seed=1"], "nothing is varied"),
        (OptunaSpec(sampler="grid"), [EPS], "optimizer.eps: an interval has no grid"),
        (OptunaSpec(), ["x=interval(2,1)"], "x: the range is empty"),
        (OptunaSpec(), ["x=tag(log, interval(0,1))"], "starts above 0"),
        (OptunaSpec(), ["linear=glob(*)"], "not glob"),
    ],
)
def test_ranges_that_cannot_be_searched(spec: OptunaSpec, lines: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split(spec, lines)


def test_settings_that_make_no_sense_come_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        check_study(OptunaSpec(sampler="tpee", pruner="medium", n_trials=0, warmup=2))
    text = str(caught.value)
    assert "did you mean 'tpe'" in text and "did you mean 'median'" in text
    assert len(text.splitlines()) == 4


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_trials_are_drawn_told_and_never_repeated(tmp_path: Path, sampler: str) -> None:
    stage = search(tmp_path, finished, "seed=1", EPS, jobs=2, n_trials=5, sampler=sampler)
    assert stage.batches == [2, 2, 1]
    assert [value_of(job, "callbacks.trial.number") for job in stage.jobs] == list("01234")
    assert all(value_of(job, "seed") == "1" for job in stage.jobs)
    again = search(tmp_path, finished, "seed=1", EPS, n_trials=7, sampler=sampler)
    assert [value_of(job, "callbacks.trial.number") for job in again.jobs] == ["5", "6"]
    drawn = [value_of(job, "optimizer.eps") for job in stage.jobs + again.jobs]
    assert len(set(drawn)) == 7  # a resumed search does not draw its first values again
    assert search(tmp_path, finished, "seed=1", EPS, n_trials=7, sampler=sampler).jobs == []


def test_how_trials_end_is_known_to_the_study(tmp_path: Path) -> None:
    ends = iter(
        [
            JobResult(3.0, "finished"),
            JobResult(9.0, "pruned"),
            JobResult(float("nan"), "failed", "lost the GPU"),
            JobResult(float("nan"), "finished"),
        ]
    )
    search(tmp_path, lambda job: next(ends), EPS, n_trials=4)
    states = [trial.state.name for trial in trials(tmp_path)]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "FAIL"]
    assert trials(tmp_path)[0].value == 3.0


def test_trials_that_were_cut_off_go_on_with_their_values(tmp_path: Path) -> None:
    def stopped(job: list[str]) -> JobResult:
        if value_of(job, "callbacks.trial.number") == "1":
            raise KeyboardInterrupt
        return finished(job)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, stopped, EPS, n_trials=3)
    eps = trials(tmp_path)[1].params["optimizer.eps"]
    stage = search(tmp_path, finished, EPS, n_trials=3)
    numbers = [value_of(job, "callbacks.trial.number") for job in stage.jobs]
    assert numbers == ["1", "2"]
    assert float(value_of(stage.jobs[0], "optimizer.eps")) == eps
    assert [trial.state.name for trial in trials(tmp_path)] == ["COMPLETE"] * 3


def test_a_grid_is_every_point_once_over_launches(tmp_path: Path) -> None:
    grid = ["linear=bitnet,dense", "optimizer.eps=choice(1e-9,1e-8)"]
    stage = search(tmp_path, finished, *grid, sampler="grid", n_trials=3)
    stage.jobs += search(tmp_path, finished, *grid, sampler="grid", n_trials=99).jobs
    points = [(value_of(j, "linear"), value_of(j, "optimizer.eps")) for j in stage.jobs]
    assert sorted(points) == [
        (linear, eps) for linear in ("bitnet", "dense") for eps in ("1e-08", "1e-09")
    ]


@pytest.mark.parametrize("pruner", ["median", "hyperband", "none"])
@pytest.mark.parametrize("storage", [None, "sqlite:///{}/study.db"])
def test_a_trial_that_does_worse_is_told_to_stop(
    tmp_path: Path, pruner: str, storage: str | None
) -> None:
    where = storage.format(tmp_path) if storage else None
    spec = OptunaSpec(pruner=pruner, storage=where, study="s", startup_trials=1, warmup=0.25)
    study = open_study(spec, tmp_path, [Axis("x", 0, 1)])
    axes = {"x": optuna.distributions.FloatDistribution(0, 1)}
    told = {}
    for number, losses in enumerate([(5.0, 4.0, 3.0, 2.0)] * 3 + [(5.0, 9.0, 9.0, 9.0)] * 3):
        study.ask(axes)
        trial = TrialSpec(address(spec, tmp_path), "s", number)
        report = reporter(trial, total_tokens=400)
        answers = [report(100 * n, loss) for n, loss in enumerate(losses, start=1)]
        study.tell(number, losses[-1])
        told[number] = answers
    assert not any(any(told[number]) for number in range(3)) or pruner == "hyperband"
    assert not any(answers[0] for answers in told.values()) or pruner == "hyperband"
    assert any(any(told[number][:3]) for number in (3, 4, 5)) == (pruner != "none")
    assert list(study.trials[0].intermediate_values) == [STEPS * n // 4 for n in (1, 2, 3, 4)]


def test_a_run_whose_trial_is_over_reports_nothing(tmp_path: Path) -> None:
    study = open_study(OptunaSpec(), tmp_path, [])
    study.tell(study.ask({}).number, state=optuna.trial.TrialState.FAIL)
    where = address(OptunaSpec(), tmp_path)
    assert reporter(TrialSpec(where, tmp_path.name, 0), 400)(100, 2.0) is False
    assert study.trials[0].intermediate_values == {}
    with pytest.raises(ConfigError, match=r"has no study 'other'"):
        reporter(TrialSpec(where, "other", 0), 400)


def test_a_result_is_a_number_that_travels() -> None:
    import pickle

    made = pickle.loads(pickle.dumps(JobResult(2.5, "failed", "no")))
    assert made == 2.5 and (made.state, made.error) == ("failed", "no")


def test_the_pruner_stops_all_ranks_on_the_word_of_one() -> None:
    from lightning.pytorch.trainer.states import TrainerFn

    from bitnet.training.budget import StepPlan
    from bitnet.training.callbacks import Pruner
    from bitnet.training.module import PretrainingModule

    def trainer(step: int, fn: TrainerFn = TrainerFn.FITTING) -> Any:
        strategy = SimpleNamespace(broadcast=lambda value: value)
        state = SimpleNamespace(fn=fn)
        return SimpleNamespace(
            state=state, strategy=strategy, global_step=step, should_stop=False, is_global_zero=True
        )

    module = object.__new__(PretrainingModule)
    module.__dict__ |= {"plan": StepPlan(40, 10, 1), "row": {"val/loss": 7.0}}
    told, pruned = list[tuple[int, float]](), list[int]()
    callback = Pruner(lambda tokens, loss: told.append((tokens, loss)) is None, pruned.append)
    runs = [trainer(2), trainer(4), trainer(3, TrainerFn.VALIDATING)]
    for each in runs:
        callback.on_validation_end(each, module)
    assert told == [(20, 7.0), (40, 7.0)] and pruned == [20]
    assert [each.should_stop for each in runs] == [True, False, False]
    other = trainer(2)
    other.strategy.broadcast, other.is_global_zero = lambda value: True, False
    Pruner(None, pruned.append).on_validation_end(other, module)
    assert other.should_stop and pruned == [20]
