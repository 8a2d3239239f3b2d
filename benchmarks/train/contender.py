"""What a contender is: a way to build one and the same Transformer out of other linear layers."""

from __future__ import annotations

import torch

from benchmarks.train.task import Task
from bitnet.nn import LinearSpec, Transformer


class Contender:
    """A model to time; attention, norms, head, masters and optimizer are the same for all.

    Attributes:
        name: name in the table.
        kind: "dense" (the measure), "ours", "naive" (what people write by hand) or "peer".
        compute: dtype of activations and products.
        compiles: whether it is compiled where the others are.
        cpu_allocator: of its tensors on a CPU; empty: what the task says.
        note: what has to be known about its number; empty if nothing.
    """

    name = ""
    kind = "peer"
    compute = torch.bfloat16
    compiles = True
    cpu_allocator = ""
    note = ""

    def why_not(self, task: Task) -> str | None:
        """What keeps it from running at all, found without trying; ``None`` if nothing is."""
        return None

    def load(self, task: Task) -> None:
        """Import what is needed; not part of any time or memory."""

    def build(self, task: Task) -> Transformer:
        """The model on the task's device, not compiled."""
        raise NotImplementedError


class Ours(Contender):
    """A model of this project as it is.

    Args:
        name: in the table.
        spec: its linear layers.
    """

    def __init__(self, name: str, spec: LinearSpec) -> None:
        self.name = name
        self.kind = "dense" if spec.kind == "dense" else "ours"
        self.spec = spec

    def build(self, task: Task) -> Transformer:
        """See :class:`Contender`; an engine that is not to be had raises here or at first use."""
        return Transformer(task.shape.model(), self.spec, self.compute).to(task.device)
