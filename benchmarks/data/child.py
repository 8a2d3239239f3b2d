"""The process of one contender: does one thing, and prints one line of JSON.

Run by `launch`; a fresh process each time, so that memory and start-up are the contender's own.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.data.ceiling import Ceiling
from benchmarks.data.contender import Contender
from benchmarks.data.measure import measure, shares
from benchmarks.data.roster import CONTENDERS
from benchmarks.data.task import Task


def main(mode: str, task: Task) -> dict[str, Any]:
    """Do one thing; packages and the tokenizer are loaded before the clock of a feed starts."""
    contender = CONTENDERS[task.contender]
    if mode != "prepare":
        contender.load()
    task.load_tokenizer()
    return MODES[mode](contender, task)


def feed(contender: Contender, task: Task) -> dict[str, Any]:
    return measure(contender, task, task.load_tokenizer().vocab_size)


def ceiling(contender: Contender, task: Task) -> dict[str, Any]:
    assert isinstance(contender, Ceiling)
    return {"tokens_per_second": round(contender.rate(task))}


def resume(contender: Contender, task: Task) -> dict[str, Any]:
    return {"resume": asdict(contender.resume(task))}


def prepare(contender: Contender, task: Task) -> dict[str, Any]:
    begin = perf_counter()
    tokens = contender.prepare(task)
    seconds = perf_counter() - begin
    if not tokens:
        return {}
    size = sum(file.stat().st_size for file in task.own_folder().rglob("*") if file.is_file())
    return {
        "prepared_tokens": tokens,
        "prepare_tokens_per_second": round(tokens / seconds),
        "disk_bytes": size,
    }


MODES: dict[str, Callable[[Contender, Task], dict[str, Any]]] = {
    "feed": feed,
    "ceiling": ceiling,
    "shares": shares,
    "resume": resume,
    "prepare": prepare,
}


def _end_with_parent() -> None:
    """Wait for the end of the standard input, which is the end of whoever started us.

    Read past `sys.stdin`: a worker forked meanwhile closes that, and would wait for its lock.
    """
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answer = main(sys.argv[1], Task.from_json(sys.argv[2]))
    Path(sys.argv[3]).write_text(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # some loaders leave threads that would never end
