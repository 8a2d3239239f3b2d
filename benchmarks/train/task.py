"""What a contender's process is asked to do, in a form that travels to it as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.train.shapes import SHAPES, Shape


def peers_folder() -> str:
    """Where ``make peers`` puts libraries that cannot stand beside ours."""
    return str(Path(sys.prefix) / "peers")


@dataclass(frozen=True)
class Task:
    """One contender at one shape.

    Attributes:
        contender: its name in the roster.
        shape: what is trained.
        device: ``cpu`` or ``cuda``.
        threads: of torch; 0 leaves its own number.
        compiled: whether contenders that can be compiled are.
        compile_mode: of ``torch.compile``, for those that are.
        peers: folder of the peers that stand apart.
        cpu_allocator: ``pages`` or ``system``, as in training.
    """

    contender: str
    shape: Shape = SHAPES["tiny"]
    device: str = "cpu"
    threads: int = 0
    compiled: bool = True
    compile_mode: str = "default"
    peers: str = field(default_factory=peers_folder)
    cpu_allocator: str = "pages"

    @staticmethod
    def from_json(text: str) -> Task:
        """The inverse of :meth:`to_json`."""
        values = json.loads(text)
        return Task(**values | {"shape": Shape(**values["shape"])})

    def to_json(self) -> str:
        """The task as one line."""
        return json.dumps(asdict(self))
