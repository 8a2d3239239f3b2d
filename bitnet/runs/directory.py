"""One run, one folder: what is in it and where.

    runs/my-run/
        config.yaml      the resolved config
        run.json         who, when, with which code, on what; and how it ended
        metrics.csv      a row a log step
        ternary.csv      a row a ternary layer and look
        samples.md       what the model wrote
        loss.png         loss against tokens
        ternary.png      what the ternary weights did
        heartbeat.json   the last sign of life
        checkpoints/     *.ckpt, and last.ckpt

Nothing else is needed to understand, compare or resume it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitnet.runs.atomic import write_json, write_text
from bitnet.runs.columns import TERNARY_COLUMNS
from bitnet.runs.errors import RunError
from bitnet.runs.heartbeat import Heartbeat
from bitnet.runs.metrics import MetricsFile
from bitnet.runs.record import new_record, updated
from bitnet.runs.samples import SamplesFile

_log = logging.getLogger(__name__)
_RECORD, _CONFIG = "run.json", "config.yaml"
# Folders that never hold a run but may hold very many files.
_NOT_SEARCHED = {"checkpoints", "wandb", "__pycache__", ".git"}


@dataclass(frozen=True)
class RunDirectory:
    """A run directory, which may not exist yet.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def config_file(self) -> Path:
        """``config.yaml``."""
        return self.path / _CONFIG

    @property
    def record_file(self) -> Path:
        """``run.json``."""
        return self.path / _RECORD

    @property
    def metrics_file(self) -> Path:
        """``metrics.csv``."""
        return self.path / "metrics.csv"

    @property
    def ternary_file(self) -> Path:
        """``ternary.csv``."""
        return self.path / "ternary.csv"

    @property
    def samples_file(self) -> Path:
        """``samples.md``."""
        return self.path / "samples.md"

    @property
    def heartbeat_file(self) -> Path:
        """``heartbeat.json``."""
        return self.path / "heartbeat.json"

    @property
    def loss_plot(self) -> Path:
        """``loss.png``."""
        return self.path / "loss.png"

    @property
    def ternary_plot(self) -> Path:
        """``ternary.png``."""
        return self.path / "ternary.png"

    @property
    def checkpoints(self) -> Path:
        """The folder ``checkpoints/``."""
        return self.path / "checkpoints"

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """The run at ``path``.

        Raises:
            RunError: ``path`` is not a run; says what is missing and which runs are nearby.
        """
        run = cls(Path(path))
        missing = [file.name for file in (run.record_file, run.config_file) if not file.is_file()]
        if missing:
            what = f"has no {' and no '.join(missing)}" if run.path.is_dir() else "does not exist"
            raise RunError(f"{path}: is not a run ({what}); {_runs_near(run.path)}")
        return run

    def create(self, config_yaml: str, record: dict[str, Any]) -> None:
        """Make the folder, ``config.yaml`` and ``run.json``.

        Args:
            config_yaml: the resolved config.
            record: fields of ``run.json`` (:data:`bitnet.runs.record.FIELDS`); ``id``, ``name``,
                ``created`` and ``state`` are filled in where missing.

        Raises:
            RunError: there is a run here already, or a field is unknown.
        """
        if self.record_file.exists():
            raise RunError(f"{self.path}: there is a run here already; resume={self.path} goes on")
        whole = new_record(self.path.name, record)
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        write_text(self.config_file, config_yaml)
        write_json(self.record_file, whole)  # last: with it, the folder is a run

    def record(self) -> dict[str, Any]:
        """What ``run.json`` says.

        Raises:
            RunError: it is not there or not JSON.
        """
        try:
            content: dict[str, Any] = json.loads(self.record_file.read_text("utf-8"))
        except FileNotFoundError as error:
            raise RunError(f"{self.path}: is not a run (has no {_RECORD})") from error
        except ValueError as error:
            raise RunError(f"{self.record_file}: is not JSON ({error})") from error
        return content

    def update_record(self, **fields: Any) -> None:
        """Change fields of ``run.json`` (one writer at a time: rank 0 of the run).

        Raises:
            RunError: a field or the state is unknown.
        """
        write_json(self.record_file, updated(self.record(), fields))

    def metrics(self, columns: Sequence[str] | None = None) -> MetricsFile:
        """``metrics.csv``, made with ``columns`` or, without them, opened."""
        return MetricsFile(self.metrics_file, columns)

    def ternary(self) -> MetricsFile:
        """``ternary.csv``, made if it is not there."""
        return MetricsFile(self.ternary_file, TERNARY_COLUMNS)

    def samples(self) -> SamplesFile:
        """``samples.md``."""
        return SamplesFile(self.samples_file)

    def heartbeat(self, every_seconds: float = 10.0) -> Heartbeat:
        """``heartbeat.json``, written at most every ``every_seconds``."""
        return Heartbeat(self.heartbeat_file, every_seconds)

    def latest_checkpoint(self) -> Path | None:
        """``last.ckpt``, or without one the file with the highest count in its name."""
        last = self.checkpoints / "last.ckpt"
        if last.exists():
            return last
        found = [file for file in self.checkpoints.glob("*.ckpt") if file.exists()]
        return max(found, key=_count, default=None)

    def is_live(self, now: float | None = None) -> bool:
        """Whether another process seems to be training here right now."""
        beat = self.heartbeat().read()
        if beat is None or beat.is_mine():
            return False
        return beat.is_alive(time.time() if now is None else now)


def find_runs(root: str | Path) -> Iterator[RunDirectory]:
    """The runs at and below ``root``, by path."""
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if name not in _NOT_SEARCHED)
        if _RECORD in files and _CONFIG in files:
            yield RunDirectory(Path(folder))


def find_latest(root: str | Path, config_id: str) -> RunDirectory | None:
    """The newest run below ``root`` with this ``config_id`` that has not finished.

    It may have no checkpoint yet. A run that another process is still writing is passed over,
    and the log says so: two processes in one folder would spoil it.
    """
    found = []
    for run in find_runs(root):
        record = run.record()
        if record.get("config_id") != config_id or record.get("state") in ("finished", "pruned"):
            continue
        if record.get("state") == "running" and run.is_live():
            _log.warning("resume=auto passes over %s: it is still running", run.path)
            continue
        found.append((record.get("created") or "", run))
    return max(found, key=lambda pair: (pair[0], str(pair[1].path)))[1] if found else None


def _count(checkpoint: Path) -> tuple[int, str]:
    numbers = re.findall(r"\d+", checkpoint.stem)
    return int(numbers[-1]) if numbers else -1, checkpoint.name


def _runs_near(path: Path) -> str:
    """Names of a few runs below ``path`` or beside it, for an error message."""
    for place in (path, path.parent):
        if place.is_dir():
            names = [str(run.path) for run in find_runs(place)]
            if names:
                more = f" and {len(names) - 5} more" if len(names) > 5 else ""
                return f"runs nearby: {', '.join(names[:5])}{more}"
    return f"there are no runs in {path.parent}"
