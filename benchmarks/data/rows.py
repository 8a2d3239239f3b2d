"""From the answers of all processes to the rows of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.data.roster import CONTENDERS
from benchmarks.data.task import BATCH, SAMPLE, Task

SHAPE = f"{BATCH}x{SAMPLE} llama mix"
Answers = list[dict[str, Any]]


def rows_of(
    names: Sequence[str],
    facts: Mapping[str, dict[str, Any]],
    results: Mapping[Task, Answers],
) -> list[dict[str, Any]]:
    """A row for each contender and number of workers.

    Keys: shape, contender, kind, ours, workers, cores (0: all), tokens_per_second (median),
    slowest, fastest, ratio, first_batch_seconds, first_batch_bytes, peak_bytes, the facts of
    `once`, and `note` where there is no number. Feeds that tokenise also have
    settled_tokens_per_second, the speed of the second half; their `ratio` is that to the raw
    tokenizer on the same cores. For those that read prepared tokens it is to the best peer.
    """
    rows = []
    for name in names:
        tasks = [task for task in results if task.contender == name]
        if not tasks:
            rows.append(_row(name) | {"note": facts.get(name, {}).get("error", "not installed")})
        rows += [_measured(task, results, facts[name]) for task in tasks]
    return rows


def _row(name: str) -> dict[str, Any]:
    contender = CONTENDERS[name]
    return {"shape": SHAPE, "contender": name, "kind": contender.kind, "ours": contender.ours}


def _measured(task: Task, results: Mapping[Task, Answers], facts: dict[str, Any]) -> dict[str, Any]:
    row = _row(task.contender) | {"workers": task.workers, "cores": task.cores}
    failed = [answer["error"] for answer in results[task] if "error" in answer]
    if failed:
        return row | {"note": failed[0]}
    speeds = [answer["tokens_per_second"] for answer in results[task]]
    row |= {"tokens_per_second": median(speeds), "slowest": min(speeds), "fastest": max(speeds)}
    if CONTENDERS[task.contender].kind == "text":
        row["settled_tokens_per_second"] = median(map(_settled, results[task]))
    measure = _measure_for(task, results)
    if measure is not None:
        pairs = zip(results[task], results[measure], strict=True)
        row["ratio"] = round(median(_settled(own) / _settled(it) for own, it in pairs), 3)
    for key in ("first_batch_seconds", "first_batch_bytes", "peak_bytes"):
        if key in results[task][0]:
            row[key] = median(answer[key] for answer in results[task])
    return row | facts


def _settled(answer: dict[str, Any]) -> float:
    """Speed of the second half, where it was taken."""
    return float(answer.get("settled_tokens_per_second") or answer["tokens_per_second"])


def _measure_for(task: Task, results: Mapping[Task, Answers]) -> Task | None:
    """What a contender is compared with, if that was measured."""
    if CONTENDERS[task.contender].kind == "tokens":
        return _best_peer(results)
    ceilings = [each for each in results if CONTENDERS[each.contender].kind == "ceiling"]
    same = [each for each in ceilings if each.cores == task.cores and _is_whole(results[each])]
    return same[0] if same else None


def _best_peer(results: Mapping[Task, Answers]) -> Task | None:
    peers = {
        task: median(map(_settled, answers))
        for task, answers in results.items()
        if CONTENDERS[task.contender].kind == "tokens"
        and not CONTENDERS[task.contender].ours
        and _is_whole(answers)
    }
    return max(peers, key=peers.__getitem__) if peers else None


def _is_whole(answers: Answers) -> bool:
    return not any("error" in answer for answer in answers)
