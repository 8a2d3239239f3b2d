"""Optuna's side of a search: where it is stored, how it draws, and when it gives a trial up.

The study is opened twice: by the sweeper, which draws trials and is told how they ended, and by
each job, which reports its validation losses and asks whether to go on. They meet in the storage.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitnet.commands.sweeping.search_space import Axis
from bitnet.config import ConfigError
from bitnet.config.errors import nearest
from bitnet.config.schema import TrialSpec
from bitnet.config.sweeping import OptunaSpec

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage

SAMPLERS = ("tpe", "random", "cmaes", "grid")
PRUNERS = ("median", "hyperband", "none")
STEPS = 10_000
"""A trial reports at this many-th parts of its budget: small numbers, whatever the budget."""

_PRUNING = "pruning"


def check_study(spec: OptunaSpec) -> None:
    """Whether a search can be made as ``spec`` says.

    Raises:
        ConfigError: a line a problem.
    """
    problems = []
    for key, valid in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        name = getattr(spec, key)
        if name not in valid:
            hint = f"{nearest(name, list(valid))} (valid: {', '.join(valid)})"
            problems.append(f"hydra.sweeper.{key}: '{name}' is unknown{hint}")
    if spec.n_trials < 1 or (spec.jobs is not None and spec.jobs < 1):
        problems.append("hydra.sweeper.n_trials, hydra.sweeper.jobs: must be at least 1")
    if not 0 <= spec.warmup < 1:
        problems.append(f"hydra.sweeper.warmup: is {spec.warmup}, but is a share from 0 to 1")
    if find_spec("optuna") is None:
        problems.append("hydra/sweeper=optuna: needs Optuna; pip install 'bitnet[optuna]'")
    if spec.sampler == "cmaes" and find_spec("cmaes") is None:
        problems.append("hydra.sweeper.sampler: cmaes needs a package; pip install cmaes")
    if problems:
        raise ConfigError("\n".join(problems))


def address(spec: OptunaSpec, folder: Path) -> str:
    """Where the study of a sweep in ``folder`` is stored: a URL, or the path of a journal."""
    return spec.storage or str((folder / "study.journal").absolute())


def open_storage(where: str) -> BaseStorage:
    """The storage at a database URL, or else the journal in a file."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if "://" in where:
        return RDBStorage(where)
    return JournalStorage(JournalFileBackend(where))


def open_study(spec: OptunaSpec, folder: Path, axes: Sequence[Axis]) -> Study:
    """The study of the sweep in ``folder``, new or as an earlier launch left it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = spec.study or folder.name
    storage = open_storage(address(spec, folder))
    pruning: dict[str, Any] = {
        "kind": spec.pruner,
        "warmup": spec.warmup,
        "startup": spec.startup_trials,
    }
    study = optuna.create_study(
        study_name=name, storage=storage, pruner=_pruner(**pruning), load_if_exists=True
    )
    # Drawn anew from the same seed, a resumed search would repeat its first trials.
    study.sampler = _sampler(spec, seed=spec.seed + len(study.trials))
    study.set_user_attr(_PRUNING, pruning)
    if spec.sampler == "grid":
        for values in itertools.product(*(axis.values or () for axis in axes)):
            point = {axis.key: value for axis, value in zip(axes, values, strict=True)}
            study.enqueue_trial(point, skip_if_exists=True)
    return study


def reporter(spec: TrialSpec, total_tokens: int) -> Callable[[int, float], bool]:
    """``(tokens, loss) -> whether to stop``, for a run that is a trial of a study.

    A run whose trial has ended, such as a failed one that is resumed by hand, reports nothing.

    Raises:
        ConfigError: the storage has no such study.
    """
    import optuna

    storage = open_storage(spec.storage)
    try:
        study_id = storage.get_study_id_from_name(str(spec.study))
    except KeyError as error:
        raise ConfigError(
            f"callbacks.trial.study: {spec.storage} has no study '{spec.study}'; "
            "callbacks.trial.study=null trains without it"
        ) from error
    study = optuna.load_study(
        study_name=str(spec.study),
        storage=storage,
        sampler=optuna.samplers.RandomSampler(),  # nothing is drawn here
        pruner=_pruner(**storage.get_study_user_attrs(study_id)[_PRUNING]),
    )
    number = storage.get_trial_id_from_study_id_trial_number(study_id, spec.number)
    if storage.get_trial(number).state.is_finished():
        return lambda tokens, loss: False
    trial = optuna.trial.Trial(study, number)

    def report(tokens: int, loss: float) -> bool:
        step = round(STEPS * tokens / total_tokens)
        if step not in storage.get_trial(number).intermediate_values:  # a resumed run repeats some
            trial.report(loss, step)
        return trial.should_prune()

    return report


def _sampler(spec: OptunaSpec, seed: int) -> BaseSampler:
    from optuna import samplers

    if spec.sampler == "cmaes":
        return samplers.CmaEsSampler(seed=seed)
    if spec.sampler == "tpe":
        return samplers.TPESampler(seed=seed)
    return samplers.RandomSampler(seed=seed)  # a grid is queued whole; nothing is drawn


def _pruner(kind: str, warmup: float, startup: int) -> BasePruner:
    from optuna import pruners

    first = round(warmup * STEPS)
    options: dict[str, Callable[[], Any]] = {
        "median": lambda: pruners.MedianPruner(startup, first),
        "hyperband": lambda: pruners.HyperbandPruner(max(first, 1), STEPS),
        "none": pruners.NopPruner,
    }
    made: BasePruner = options[kind]()
    return made
