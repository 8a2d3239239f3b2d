"""What a contender must be able to do; each of them is a file beside this one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torch import Tensor

from benchmarks.data.task import Task


@dataclass(frozen=True)
class Resumed:
    """How going on at a sample went.

    Attributes:
        seconds: from nothing to the first batch there; none if it was not possible.
        note: why not, or what has to be known about the number.
    """

    seconds: float | None
    note: str = ""


class Contender:
    """One way to get packed batches of the mixture.

    Attributes:
        name: name in the table.
        kind: "ceiling" (a speed to compare with), "text" (tokenises while it delivers) or "tokens"
            (delivers what was tokenised before).
        ours: whether it is ours.
        needs: package that must be importable.
    """

    name = ""
    kind = "tokens"
    ours = False
    needs = "torch"

    def missing(self) -> bool:
        return find_spec(self.needs) is None

    def load(self) -> None:
        """Import what is needed; not part of any time."""
        import_module(self.needs)

    def prepare(self, task: Task) -> int:
        """Make what is read later; returns the number of tokens (0: nothing has to be made)."""
        return 0

    def open(self, task: Task) -> Iterable[Any]:
        """A loader. It is iterated again when it ends."""
        raise NotImplementedError

    def look(self, batch: Any) -> tuple[Tensor, Any]:
        """Tokens `[8, 2049]` of a batch, and the source indices if they are known, else None."""
        raise NotImplementedError

    def resume(self, task: Task) -> Resumed:
        """Go on at sample `task.samples`."""
        raise NotImplementedError
