"""Times contenders in alternation with their dense twin.

Every contender's process lives through all rounds, and in a round each takes one step, so that a
machine that slows down slows all of them. Where memory does not hold all at once they come in
groups, each with the same dense twin beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.train.roster import CONTENDERS, DENSE
from benchmarks.train.runner import Runner
from benchmarks.train.task import Task

Say = Callable[[str], None]

# A contender may keep fp32 copies of what the dense twin keeps in bf16, and a few more.
_TIMES_DENSE = 3


@dataclass
class Measured:
    """What became of one contender.

    Attributes:
        facts: the worker's answer to ``start``, or ``{"error": why}``.
        seconds: of its steps, a round after the other.
        dense: of the dense twin's steps in the same rounds.
    """

    facts: dict[str, Any]
    seconds: list[float] = field(default_factory=list)
    dense: list[float] = field(default_factory=list)


def measure(base: Task, names: Sequence[str], rounds: int, say: Say) -> dict[str, Measured]:
    """Time ``names`` at the shape of ``base``.

    Args:
        base: the task of any of them.
        names: contenders; the dense twin is measured whether or not it is among them.
        rounds: timed steps of each.
        say: where lines go.

    Returns:
        What became of each; the dense twin's steps are those of all groups.
    """
    others = [name for name in names if name != DENSE]
    found = {name: Measured({"error": why}) for name in others if (why := _why_not(base, name))}
    waiting = [name for name in others if name not in found]
    with closing(Runner(replace(base, contender=DENSE))) as dense:
        twin = found[DENSE] = Measured(_started(dense, say))
        if "error" in twin.facts:
            return found | {name: Measured({"error": "no dense twin"}) for name in waiting}
        while waiting or not twin.seconds:
            found |= _measure_group(base, dense, twin, waiting, rounds, say)
            if "error" in twin.facts:
                return found | {name: Measured({"error": "no dense twin"}) for name in waiting}
    return found


def has_room(latest: dict[str, Any], dense: dict[str, Any]) -> bool:
    """Whether one more contender fits into what the latest one left free."""
    return bool(latest.get("free_bytes", 0) >= _TIMES_DENSE * dense["peak_bytes"])


def _why_not(base: Task, name: str) -> str | None:
    return CONTENDERS[name].why_not(replace(base, contender=name))


def _started(runner: Runner, say: Say) -> dict[str, Any]:
    facts = runner.ask("start")
    who = f"{runner.task.shape.name}: {runner.task.contender}"
    say(f"{who}: {facts.get('error', 'ready')}")
    return facts


def _measure_group(
    base: Task, dense: Runner, twin: Measured, waiting: list[str], rounds: int, say: Say
) -> dict[str, Measured]:
    """Take from those who wait as many as memory holds beside the dense twin, at least one."""
    found: dict[str, Measured] = {}
    with ExitStack() as stack:
        runners: dict[str, Runner] = {}
        latest = twin.facts
        while waiting and (not runners or has_room(latest, twin.facts)):
            name = waiting.pop(0)
            runner = stack.enter_context(closing(Runner(replace(base, contender=name))))
            found[name] = Measured(_started(runner, say))
            if "error" not in found[name].facts:
                runners[name], latest = runner, found[name].facts
        _round(1, dense, twin, runners, found, timed=False)  # awake after the others' compiling
        for turn in range(rounds):
            _round(turn, dense, twin, runners, found)
            told = f"{base.shape.name}: round {turn + 1} of {rounds}"
            say(f"{told}: dense {twin.seconds[-1] * 1e3:.0f} ms" if twin.seconds else told)
    return found


def _round(
    turn: int,
    dense: Runner,
    twin: Measured,
    runners: dict[str, Runner],
    found: dict[str, Measured],
    timed: bool = True,
) -> None:
    """One step of each, in an order that turns around every time; who fails is out."""
    order = [(DENSE, dense), *runners.items()]
    answers = {name: runner.ask("step") for name, runner in order[:: 1 if turn % 2 == 0 else -1]}
    reference = answers.pop(DENSE)
    if "error" in reference:
        twin.facts = reference
        return
    if timed:
        twin.seconds.append(reference["seconds"])
        twin.dense.append(reference["seconds"])
    for name, answer in answers.items():
        if "error" in answer:
            found[name].facts = answer
            del runners[name]
        elif timed:
            found[name].seconds.append(answer["seconds"])
            found[name].dense.append(reference["seconds"])
