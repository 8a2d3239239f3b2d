"""What Hydra calls for each job: it can travel to another process, and leaves word how it ended.

Hydra prints stack traces and forgets which jobs failed. So nothing is raised through it: a single
run's fault is kept until Hydra is done, and a sweep's job writes its end into its folder, where it
is found whatever launcher ran it, on whatever machine.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from bitnet.commands.faults import USER_FAULTS
from bitnet.commands.sweeping.result import JobResult
from bitnet.config import TrainConfig
from bitnet.config.compose import to_object
from bitnet.config.saved import config_id, to_plain
from bitnet.config.store import register
from bitnet.runs import RunDirectory
from bitnet.runs.sweep_jobs import DONE, JobNote, clear, final_loss, place_alone, standing

_log = logging.getLogger(__name__)

Job = Callable[[Any, list[str]], Any]


@dataclass
class Task:
    """Runs ``job(config, overrides)`` for Hydra.

    Attributes:
        job: the verb.
        command: the whole command line: other ranks of a single run are started with it.
        sweep: whether this is one of many.
        launch: name of this launch.
        known: folders of jobs of earlier launches, by identity.
        faults: what single runs raised, in this process.
    """

    job: Job
    command: list[str]
    sweep: bool
    launch: str
    known: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    faults: list[Exception] = field(default_factory=list)
    process: int = field(default_factory=os.getpid)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In another process, make schemas and resolvers known before the config is looked at."""
        self.__dict__.update(state)
        register()

    def __call__(self, config: DictConfig) -> Any:
        """Run the job that Hydra composed."""
        sys.argv = self.command
        runtime = HydraConfig.get()
        folder, overrides = Path(runtime.runtime.output_dir), list(runtime.overrides.task)
        if "run_dir" in config:
            OmegaConf.update(config, "run_dir", str(folder))
            if self.sweep and config.logger.wandb.group is None:
                # W&B shows the jobs of a sweep as one group, unless the user named another.
                config.logger.wandb.group = Path(runtime.sweep.dir).name
        made = to_object(config)
        if self.sweep and isinstance(made, TrainConfig):
            try:
                return self._train_in_sweep(made, overrides, runtime)
            finally:
                _remove_if_empty(folder)
        try:
            return self.job(made, overrides)
        except Exception as error:
            self._keep(error)
        finally:
            _remove_if_empty(folder)

    def _keep(self, error: Exception) -> None:
        if os.getpid() != self.process:
            raise error  # nobody would find it here
        self.faults.append(error)
        _tell(error, self.sweep)

    def _train_in_sweep(
        self, config: TrainConfig, overrides: list[str], hydra: HydraConf
    ) -> JobResult:
        """Train, unless an earlier launch did; failures are results, written down like others."""
        root, number, identity = Path(hydra.sweep.dir), int(hydra.job.num), config_id(config)
        folder = place_alone(root.absolute(), self.known, identity, number)
        plain = to_plain(config)
        note = JobNote(number, identity, overrides, launch=self.launch, config=plain)
        try:
            if (state := standing(folder)) in DONE:
                _log.info("#%s is %s already; skipped", folder.name, state)
            else:
                note.write(folder, state="running")
                self._train(config, overrides, folder)
        except Exception as error:
            _tell(error, sweep=True)
            line = str(error).splitlines()[0] if str(error) else type(error).__name__
            note.write(folder, state="failed", error=line)
            return JobResult(float("nan"), "failed", line)
        except BaseException:
            note.write(folder, state="interrupted", error="interrupted")
            raise
        note.write(folder, state=standing(folder))
        return JobResult(final_loss(folder), standing(folder))

    def _train(self, config: TrainConfig, overrides: list[str], folder: Path) -> None:
        run = RunDirectory(folder)
        if standing(folder) == "unfinished" and run.latest_checkpoint() is not None:
            from bitnet.commands.train import resume

            trial = [each for each in overrides if each.startswith("callbacks.trial.")]
            resume(folder, trial)
            return
        clear(folder)
        self.job(replace(config, run_dir=str(folder)), overrides)


def _tell(error: Exception, sweep: bool) -> None:
    if not isinstance(error, USER_FAULTS):
        _log.exception("the job failed")
    elif sweep:
        _log.error("the job failed: %s", error)


def _remove_if_empty(folder: Path) -> None:
    """Hydra makes the folder before the job; a job refused at once leaves none."""
    if folder != Path.cwd() and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
