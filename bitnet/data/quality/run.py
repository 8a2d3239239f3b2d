"""Runs the quality steps over a corpus: read every unit once, in parallel, then decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.prepared.files import read_json, remove_leftovers, write_json
from bitnet.data.prepared.pool import Pool
from bitnet.data.quality.columns import gather
from bitnet.data.quality.decisions import decide
from bitnet.data.quality.decontaminate import BenchmarkIndex
from bitnet.data.quality.examined import unit_file
from bitnet.data.quality.identity import corpus_identity, quality_identity, refuse_other
from bitnet.data.quality.reading import UnitReader
from bitnet.data.quality.spec import QualitySpec
from bitnet.data.quality.verdicts import Verdicts, read_verdicts, write_verdicts
from bitnet.data.records import Unit
from bitnet.data.sources import Source

Progress = Callable[[str, int, int], None]
Task = tuple[str, int, Unit]

_ABOUT = "quality.json"


def run_quality(
    spec: QualitySpec,
    sources: Mapping[str, Source],
    range_bytes: int,
    folder: Path,
    workers: int,
    held_out_fraction: float,
    progress: Progress | None = None,
) -> Verdicts:
    """Decide which records are left out; a run that was killed goes on where it was.

    Args:
        spec: the steps; at least one is on.
        sources: the corpus, by name.
        range_bytes: how plain files are cut, see `Source.units`.
        folder: for what is found; it must be the same when going on.
        workers: processes that read; 0 or 1: this one.
        held_out_fraction: share of the documents kept for validation; none of them is dropped.
        progress: called with what is being done, how many units are done and of how many.

    Raises:
        DataError: the settings are unusable or not those of the folder, a library or file that a
            step needs is missing, or a file of the corpus is damaged.
    """
    _check(spec, sources)
    corpus = corpus_identity(sources, range_bytes)
    identity = quality_identity(spec, sources, range_bytes, held_out_fraction)
    _claim(folder, identity)
    done = read_verdicts(folder)
    if done is not None:
        return done
    tell = progress or (lambda what, now, total: None)
    tasks = [
        (name, number, unit)
        for name in sorted(sources)
        for number, unit in enumerate(sources[name].units(range_bytes))
    ]
    read_units(spec, sources, tasks, folder, workers, held_out_fraction, tell)
    tell("deciding", 0, 1)
    columns = gather(folder, [(name, number) for name, number, _ in tasks])
    decide(columns, spec, folder, corpus)
    verdicts = write_verdicts(folder, columns)
    tell("deciding", 1, 1)
    return verdicts


def read_units(
    spec: QualitySpec,
    sources: Mapping[str, Source],
    tasks: Sequence[Task],
    folder: Path,
    workers: int,
    held_out_fraction: float,
    tell: Progress,
) -> None:
    """Examine the units whose file is missing, and leave a file for each."""
    for name in sources:
        (folder / name).mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    missing = [each for each in tasks if not unit_file(folder, each[0], each[1], "npz").exists()]
    if not missing:
        return
    reader = UnitReader(spec, held_out_fraction)
    for name in sources:
        reader.rules(name)  # what is wrong with the settings is said here, not in a worker
    finished = list(range(len(tasks) - len(missing)))
    tell("reading", len(finished), len(tasks))

    def one_more(number: int) -> None:
        finished.append(number)
        tell("reading", len(finished), len(tasks))

    examiner = _Examiner(reader, sources, folder)
    several = min(workers, len(missing))
    Pool(examiner, several if several > 1 else 0, lambda step: None, one_more).run(missing)


class _Examiner:
    """Examines units; a copy goes to every worker, which makes the rules anew."""

    def __init__(self, reader: UnitReader, sources: Mapping[str, Source], folder: Path) -> None:
        self._reader, self._sources, self._folder = reader, sources, folder

    def __call__(self, task: Task, report: Callable[[None], None]) -> int:
        """Examine a unit, leave its file, and return its number."""
        name, number, unit = task
        path = unit_file(self._folder, name, number, "npz")
        self._reader.read(self._sources[name], unit).save(path)
        return number

    def __reduce__(self) -> tuple[Callable[..., _Examiner], tuple[object, ...]]:
        reader = self._reader
        given = (reader.spec, reader.held_out_fraction, reader.index)
        return _rebuilt, (given, self._sources, self._folder)


def _rebuilt(
    given: tuple[QualitySpec, float, BenchmarkIndex | None],
    sources: Mapping[str, Source],
    folder: Path,
) -> _Examiner:
    return _Examiner(UnitReader(*given), sources, folder)


def _check(spec: QualitySpec, sources: Mapping[str, Source]) -> None:
    problems = spec.problems()
    for name, step in spec.steps():
        for source in step.sources if step.enabled else []:
            if source not in sources:
                problems.append(f"{name}.sources: {describe_unknown(source, sources)}")
    if problems:
        raise DataError("; ".join(f"quality.{line}" for line in problems))


def _claim(folder: Path, identity: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / _ABOUT).exists():
        refuse_other(read_json(folder / _ABOUT), identity, f"'{folder}' holds quality verdicts")
    else:
        write_json(folder / _ABOUT, identity)
