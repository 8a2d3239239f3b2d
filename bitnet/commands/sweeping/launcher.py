"""``hydra/launcher=processes``: each job of a sweep is a ``bitnet train`` of its own.

In a process tree of its own a job may use several devices, and its end, whatever it is, leaves the
others alone. A job that an earlier launch finished is not run again; one that it left unfinished
goes on from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from bitnet.commands.sweeping.jobs import Job, run_jobs
from bitnet.config.compose import to_object
from bitnet.config.saved import config_id, to_plain
from bitnet.config.store import stamp
from bitnet.config.sweeping import ProcessesSpec
from bitnet.runs.sweep_jobs import JobNote, assign


class ProcessLauncher(Launcher):
    """Hydra's launcher of process trees; see :class:`~bitnet.config.sweeping.ProcessesSpec`."""

    def __init__(self, jobs: int, devices: list[str] | None, grace_seconds: float) -> None:
        self.spec = ProcessesSpec(jobs=jobs, devices=devices, grace_seconds=grace_seconds)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's hook; the task itself is not used, since each job is a command of its own."""
        self.context, self.config = hydra_context, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run a batch of jobs; failures are results like others.

        Raises:
            KeyboardInterrupt: told to stop; no job is left running.
        """
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        root = Path(self.config.hydra.sweep.dir)
        root.mkdir(parents=True, exist_ok=True)
        swept = self._swept()
        jobs = [
            self._job(list(each), initial_job_idx + n, swept)
            for n, each in enumerate(job_overrides)
        ]
        folders = assign(root, [job.note.asked_id for job in jobs], initial_job_idx)
        for job, folder in zip(jobs, folders, strict=True):
            job.folder = folder
        results = run_jobs(jobs, self.spec)
        returns = [JobReturn(each, status=JobStatus.COMPLETED) for each in job_overrides]
        for each, result in zip(returns, results, strict=True):
            each.return_value = result
        return returns

    def _job(self, overrides: list[str], number: int, swept: set[str]) -> Job:
        """A job that has no folder yet: what it is, and how it is called."""
        composed = self.context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(composed):
            hydra = composed.pop("hydra")
        config = to_object(composed)
        note = JobNote(
            number=number,
            asked_id=config_id(config),
            overrides=overrides,
            launch=stamp(),
            config=to_plain(config),
        )
        grouped = config.logger.wandb.group is not None  # the user named another
        return Job(
            note=note,
            trainer=config.trainer,
            arguments=[*self._flags(), *hydra.overrides.hydra, *overrides],
            group=None if grouped else Path(self.config.hydra.sweep.dir).name,
            label=" ".join(each for each in overrides if each.partition("=")[0] in swept),
        )

    def _flags(self) -> list[str]:
        """The folder of further group files, if the user gave one."""
        sources = self.config.hydra.runtime.config_sources
        paths = [each.path for each in sources if each.provider == "command-line"]
        return [part for path in paths for part in ("--config-dir", path)]

    def _swept(self) -> set[str]:
        """Keys of the command line and of the sweeper's ``params`` that are varied."""
        params = self.config.hydra.sweeper.get("params") or {}
        lines = [f"{key}={value}" for key, value in params.items()]
        lines += self.config.hydra.overrides.task
        parsed = OverridesParser.create().parse_overrides(lines)
        return {each.get_key_element() for each in parsed if each.is_sweep_override()}
