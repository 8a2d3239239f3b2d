"""The jobs of a sweep directory: which folder holds which job, and how far it is.

A job is known by its identity (a hash of the config it was asked for), not by its number, so a
sweep that is launched again finds what is done. Its folder holds ``job.json`` from before it
starts, so a job that died before it became a run is not forgotten. A file a job, each replaced
whole: jobs on other machines may write at the same moment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bitnet.runs.atomic import write_json
from bitnet.runs.curves import last
from bitnet.runs.directory import RunDirectory
from bitnet.runs.errors import RunError

_NOTE = "job.json"
DONE = ("finished", "pruned")
"""States after which a job is not run again."""


@dataclass(frozen=True)
class JobNote:
    """What a launcher writes about a job.

    Attributes:
        number: in its sweep.
        asked_id: identity of the config it was asked for.
        overrides: the command line that made it.
        state: ``waiting``, ``running``, or one of :data:`bitnet.runs.record.STATES`.
        error: one line, if it failed.
        launch: which launch touched it last.
        config: the config it was asked for, as plain data.
    """

    number: int
    asked_id: str
    overrides: list[str]
    state: str = "waiting"
    error: str | None = None
    launch: str = ""
    config: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path, **changes: Any) -> JobNote:
        """Write the note, with ``changes``, into ``folder``; returns what was written."""
        note = replace(self, **changes)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / _NOTE, asdict(note))
        return note


def read_note(folder: Path) -> JobNote | None:
    """The note in ``folder``, or ``None`` if there is none.

    Raises:
        RunError: it is not a job's note.
    """
    try:
        return JobNote(**json.loads((folder / _NOTE).read_text("utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (TypeError, ValueError) as error:
        raise RunError(f"{folder / _NOTE}: is not the note of a job ({error})") from error


def noted_jobs(root: Path) -> list[tuple[Path, JobNote]]:
    """The folders of ``root`` that hold a readable note, in the order of their numbers."""
    found = []
    for folder in job_folders(root):
        try:
            note = read_note(folder)
        except RunError:
            continue  # the table shows its run, if there is one, from its own files
        if note is not None:
            found.append((folder, note))
    return found


def job_folders(root: Path) -> list[Path]:
    """All folders in ``root``: numbers in their order, then others by name."""
    folders = [each for each in root.iterdir() if each.is_dir()] if root.is_dir() else []
    return sorted(folders, key=lambda each: natural(each.name))


def natural(name: str) -> tuple[int, int, str]:
    """A key that puts ``2`` before ``10``, and both before ``a``."""
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)


def owner(folder: Path) -> str | None:
    """Identity of the job that ``folder`` belongs to; ``None`` if no job does, or none is known."""
    run = RunDirectory(folder)
    try:
        if run.record_file.exists() and (identity := run.record().get("asked_id")):
            return str(identity)
        note = read_note(folder)
    except RunError:
        return None
    return note.asked_id if note else None


def owners(root: Path) -> dict[str, list[Path]]:
    """Identity to the folders in ``root`` that belong to it."""
    found: dict[str, list[Path]] = {}
    for folder in job_folders(root):
        if identity := owner(folder):
            found.setdefault(identity, []).append(folder)
    return found


def assign(root: Path, identities: Sequence[str], first: int) -> list[Path]:
    """A folder for each job: its own from an earlier launch, else a free number.

    Args:
        root: the sweep directory.
        identities: of the jobs, in their order; the same one twice gets two folders.
        first: number of the first job, which it has if that is free.
    """
    left = {identity: list(folders) for identity, folders in owners(root).items()}
    found: list[Path | None] = [
        _take(left.get(identity, []), root / str(first + n))
        for n, identity in enumerate(identities)
    ]
    used = {folder.name for folder in job_folders(root) if any(folder.iterdir())}
    used |= {folder.name for folder in found if folder}
    placed = []
    for n, folder in enumerate(found):
        if folder is None:
            number = first + n
            while str(number) in used:
                number += 1
            folder = root / str(number)
            used.add(folder.name)
        placed.append(folder)
    return placed


def place_alone(root: Path, known: Mapping[str, Sequence[Path]], identity: str, n: int) -> Path:
    """The folder of one job whose siblings choose theirs at the same moment, perhaps elsewhere.

    Args:
        root: the sweep directory.
        known: :func:`owners` as they were before the launch.
        identity: of the job.
        n: its number, which is its own alone.
    """
    own = root / str(n)
    if owner(own) == identity:
        return own
    if known.get(identity):
        return known[identity][0]
    taken = own.is_dir() and any(own.iterdir())
    return root / f"{n}-{identity}" if taken else own


def standing(folder: Path) -> str:
    """``new`` (no run here yet), ``finished``, ``pruned``, or ``unfinished``.

    Raises:
        RunError: ``run.json`` cannot be read.
    """
    run = RunDirectory(folder)
    if not (run.record_file.exists() and run.config_file.exists()):
        return "new"
    state = str(run.record()["state"])
    return state if state in DONE else "unfinished"


def clear(folder: Path) -> None:
    """Remove the files of a run that never reached a checkpoint, so that it can start anew."""
    run = RunDirectory(folder)
    run.record_file.unlink(missing_ok=True)  # first: without it the folder is no run
    files = (run.config_file, run.metrics_file, run.ternary_file, run.samples_file)
    for file in (*files, run.heartbeat_file, folder / "tokenizer.json"):
        file.unlink(missing_ok=True)


def is_busy(folder: Path) -> bool:
    """Whether the run in ``folder`` shows the heartbeat of another process."""
    return standing(folder) == "unfinished" and RunDirectory(folder).is_live()


def final_loss(folder: Path) -> float:
    """The newest validation loss of the run in ``folder``; not a number if it has none."""
    run = RunDirectory(folder)
    rows = run.metrics().read() if run.metrics_file.exists() else []
    value = last(rows, "val/loss")
    return float("nan") if value is None else value


def _take(folders: list[Path], preferred: Path) -> Path | None:
    if preferred in folders:
        folders.remove(preferred)
        return preferred
    return folders.pop(0) if folders else None
