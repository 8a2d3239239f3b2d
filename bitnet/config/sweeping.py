"""The settings of this project's own launcher and sweeper, below ``hydra.launcher`` and so on.

Hydra builds plugins from these; the plugins themselves are in ``commands/``, which registers them.
"""

from dataclasses import dataclass, field

# Hydra takes plugins from a package of this name only; ours are put under it by code.
_NAMESPACE = "hydra_plugins.bitnet"


@dataclass
class ProcessesSpec:
    """``hydra/launcher=processes``: each job a process tree of its own.

    Attributes:
        jobs: how many at once.
        devices: GPUs to deal out, by number or name (a GPU listed twice takes two jobs);
            ``null``: all that are visible.
        grace_seconds: how long an interrupted job has to save itself before it is killed.
    """

    _target_: str = f"{_NAMESPACE}.ProcessLauncher"
    jobs: int = 1
    devices: list[str] | None = None
    grace_seconds: float = 60.0


@dataclass
class OptunaSpec:
    """``hydra/sweeper=optuna``: a search with Optuna, over the overrides that are ranges.

    Attributes:
        params: the search space, key to a range, as on the command line.
        n_trials: of the whole study, earlier launches included.
        sampler: ``tpe``, ``random``, ``cmaes`` or ``grid``.
        seed: of the sampler.
        pruner: ``median``, ``hyperband`` or ``none``: stops trials on their validation loss.
        warmup: share of the budget before which no trial is pruned.
        startup_trials: how many trials the median pruner lets finish first.
        storage: a file for Optuna's journal, or a database URL; ``null``: a journal in the
            sweep directory.
        study: its name in the storage; ``null``: that of the sweep directory.
        jobs: trials at once; ``null``: as many as the launcher runs.
    """

    _target_: str = f"{_NAMESPACE}.OptunaSweeper"
    params: dict[str, str] = field(default_factory=dict)
    n_trials: int = 20
    sampler: str = "tpe"
    seed: int = 1
    pruner: str = "median"
    warmup: float = 0.1
    startup_trials: int = 5
    storage: str | None = None
    study: str | None = None
    jobs: int | None = None


PLUGINS: dict[tuple[str, str], type] = {
    ("hydra/launcher", "processes"): ProcessesSpec,
    ("hydra/sweeper", "optuna"): OptunaSpec,
}
"""Hydra's group and the option in it, to the dataclass that types it."""
