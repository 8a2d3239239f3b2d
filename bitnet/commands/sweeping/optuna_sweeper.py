"""``hydra/sweeper=optuna``: trials drawn by Optuna, run by whatever launcher there is.

The study outlives the launch: launched again, trials that ended are not repeated, those that were
cut off go on under their own numbers and values, and only what is missing is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from bitnet.commands.sweeping.child import quoted
from bitnet.commands.sweeping.result import JobResult
from bitnet.commands.sweeping.search_space import Axis, split
from bitnet.commands.sweeping.study import address, open_study
from bitnet.config.sweeping import OptunaSpec

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial


class OptunaSweeper(Sweeper):
    """Hydra's sweeper with Optuna; see :class:`~bitnet.config.sweeping.OptunaSpec`."""

    def __init__(self, **settings: Any) -> None:
        plain = {key: _plain(value) for key, value in settings.items()}
        self.spec = OptunaSpec(**plain)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's hook."""
        self.hydra = config.hydra
        self.config = config
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run trials until the study has as many as were asked for."""
        folder = Path(self.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        axes, fixed = split(self.spec, arguments)
        study = open_study(self.spec, folder, axes)
        fixed += [
            f"callbacks.trial.storage={quoted(address(self.spec, folder))}",
            f"callbacks.trial.study={quoted(study.study_name)}",
        ]
        cut_off = _cut_off(study, axes)
        at_once = self.spec.jobs or self.hydra.launcher.get("jobs") or 1
        while batch := cut_off[:at_once] or self._drawn(study, axes, at_once):
            cut_off = cut_off[at_once:]
            jobs = [_overrides(trial, axes, fixed) for trial in batch]
            returns = self.launcher.launch(jobs, initial_job_idx=batch[0].number)
            for trial, returned in zip(batch, returns, strict=True):
                _tell(study, trial.number, returned)
        _print_best(study)

    def _drawn(self, study: Study, axes: Sequence[Axis], at_once: int) -> list[Trial]:
        """New trials: as many as are run at once, and no more than are missing."""
        from optuna.trial import TrialState

        total = self.spec.n_trials
        if self.spec.sampler == "grid":
            total = min(total, math.prod(len(axis.values or ()) for axis in axes))
        begun = len([t for t in study.trials if t.state != TrialState.WAITING])
        space = {axis.key: axis.distribution() for axis in axes}
        return [study.ask(space) for _ in range(min(at_once, total - begun))]


def _cut_off(study: Study, axes: Sequence[Axis]) -> list[FrozenTrial]:
    """Trials that an earlier launch began and did not see the end of."""
    from optuna.trial import TrialState

    begun = study.get_trials(states=(TrialState.RUNNING,))
    for trial in begun:
        if set(trial.params) != {axis.key for axis in axes}:  # cut off while it was drawn
            study.tell(trial.number, state=TrialState.FAIL)
    return [trial for trial in begun if set(trial.params) == {axis.key for axis in axes}]


def _overrides(trial: Trial | FrozenTrial, axes: Sequence[Axis], fixed: list[str]) -> list[str]:
    drawn = [f"{axis.key}={axis.written(trial.params[axis.key])}" for axis in axes]
    return [*fixed, f"callbacks.trial.number={trial.number}", *drawn]


def _tell(study: Study, number: int, returned: JobReturn) -> None:
    """Let the study know how a trial ended."""
    from optuna.trial import TrialState

    result = returned.return_value if returned.status == JobStatus.COMPLETED else None
    if not isinstance(result, JobResult):
        study.tell(number, state=TrialState.FAIL)
    elif result.state == "pruned":
        study.tell(number, state=TrialState.PRUNED)
    elif result.state == "finished" and math.isfinite(result):
        study.tell(number, float(result))
    else:
        study.tell(number, state=TrialState.FAIL)


def _print_best(study: Study) -> None:
    from optuna.trial import TrialState

    ended = study.get_trials(states=(TrialState.COMPLETE,))
    console = Console(highlight=False)
    states = [trial.state.name.lower() for trial in study.trials]
    counts = ", ".join(f"{states.count(each)} {each}" for each in dict.fromkeys(states))
    console.print(f"study {study.study_name}: {len(states)} trials ({counts})", soft_wrap=True)
    if ended:
        best = min(ended, key=lambda trial: trial.value or 0.0)
        values = " ".join(f"{key}={value}" for key, value in best.params.items())
        console.print(
            f"best trial: #{best.number}, val loss {best.value:.4f}, {values}", soft_wrap=True
        )


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
