"""How fast batches come: our two feeds and the libraries that people use instead, on the same text.

Every contender delivers batches `[8, 2049]` of tokens, packed within a source and mixed by LLaMA's
weights, from the same files with the same tokenizer. Each measurement has a process of its own (so
that memory and start are honest), and rounds go through all of them before any comes again, so that
a noisy machine treats all alike. A ratio is the median over rounds of the ratios within a round.

Run it: ``bitnet bench data output=FILE root=DIR tokenizer=FILE`` (peers come by ``make peers``).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.data.launch import launch
from benchmarks.data.machine import machine, versions
from benchmarks.data.once import once
from benchmarks.data.roster import CONTENDERS
from benchmarks.data.rows import rows_of
from benchmarks.data.tables import show
from benchmarks.data.task import LLAMA, Task
from bitnet.data import DataError, LocalCorpus, PocketCorpus
from bitnet.data.errors import describe_unknown


def run(
    output: Path | None = None,
    root: str | None = None,
    tokenizer: str = "pocket",
    rounds: int = 3,
    workers: Sequence[int] = (0, 1, 2),
    tokens: int = 6_000_000,
    folder: str | None = None,
    contenders: Sequence[str] = tuple(CONTENDERS),
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Measure, print tables, and write the report if a file is given.

    Args:
        output: JSON file, or ``None``.
        root: folder with the seven RedPajama subsets; without one, the pocket corpus.
        tokenizer: file or name.
        rounds: how often each is measured.
        workers: numbers of worker processes to try.
        tokens: fewest tokens that each delivers in a round (and for at least a second).
        folder: where prepared tokens are kept for a later run; without one they are deleted.
        contenders: names from the roster.
        say: where lines go.

    Returns:
        A row a contender and number of workers; see `rows_of`.

    Raises:
        DataError: a subset is missing, or a contender is unknown.
    """
    for name in contenders:
        if name not in CONTENDERS:
            raise DataError(f"contenders: {describe_unknown(name, list(CONTENDERS))}")
    with ExitStack() as stack:
        kept = folder or stack.enter_context(tempfile.TemporaryDirectory())
        base = task_for(root, tokenizer, kept, tokens)
        installed = [name for name in contenders if not CONTENDERS[name].missing()]
        facts = {name: once(replace(base, contender=name), say) for name in installed}
        usable = [name for name in installed if "error" not in facts[name]]
        results = _rounds(_tasks(base, usable, workers), rounds, say)
    rows = rows_of(contenders, facts, results)
    show(rows, say)
    if output is not None:
        text = f"{Path(base.root).name}, {Path(base.tokenizer).name}"
        report = {"machine": machine(), "versions": versions(), "text": text, "rows": rows}
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(report, indent=1) + "\n")
    return rows


def task_for(
    root: str | None, tokenizer: str, folder: str, tokens: int, contender: str = ""
) -> Task:
    """The task on a folder of seven subsets, or on the pocket corpus.

    Raises:
        DataError: a subset is missing.
    """
    if root is None:
        files = {name: source.files[0] for name, source in PocketCorpus().open().items()}
        root = str(Path(next(iter(files.values())).location).parent)
        subsets = {name: Path(files[name].location).name for name in LLAMA}
    else:
        root = str(Path(root).expanduser().absolute())
        subsets = _subsets(root)
    if Path(tokenizer).expanduser().is_file():
        tokenizer = str(Path(tokenizer).expanduser().absolute())
    return Task(contender, root, tokenizer, str(Path(folder).absolute()), subsets, tokens)


def _subsets(root: str) -> dict[str, str]:
    found = LocalCorpus(root=root).open()
    for name in LLAMA:
        if name not in found:
            raise DataError(f"root: {describe_unknown(name, sorted(found))}")
    return {name: str(Path(found[name].files[0].name).parts[0]) for name in LLAMA}


def _tasks(base: Task, names: Sequence[str], workers: Sequence[int]) -> list[Task]:
    """Everything that is measured in a round."""
    tasks = []
    for name in names:
        task = replace(base, contender=name)
        if CONTENDERS[name].kind == "ceiling":
            tasks += [replace(task, cores=1), task]
            continue
        if CONTENDERS[name].kind == "text" and CONTENDERS[name].ours:
            tasks.append(replace(task, cores=1))
        tasks += [replace(task, workers=count) for count in workers]
    return tasks


def _rounds(
    tasks: Sequence[Task], rounds: int, say: Callable[[str], None]
) -> dict[Task, list[dict[str, Any]]]:
    answers: dict[Task, list[dict[str, Any]]] = {task: [] for task in tasks}
    for turn in range(rounds):
        for task in tasks if turn % 2 == 0 else tasks[::-1]:
            ceiling = CONTENDERS[task.contender].kind == "ceiling"
            answer = launch("ceiling" if ceiling else "feed", task)
            answers[task].append(answer)
            speed = answer.get("tokens_per_second")
            told = answer.get("error") if speed is None else f"{speed / 1e6:.2f} M tokens/s"
            place = f"{task.workers} workers" + (f", {task.cores} core" if task.cores else "")
            say(f"round {turn + 1} of {rounds}: {task.contender}, {place}: {told}")
    return answers
