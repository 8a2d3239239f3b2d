"""What a user can say about a sharded model; the defaults want the least memory."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

GATHERS = ("auto", "ternary", "master")
REDUCES = ("micro_batch", "step")


@dataclass
class ShardingSpec:
    """How a model whose parameters are shared out is put together, block by block.

    Matrices of full precision (those of a dense model, embeddings, head) travel in the compute
    dtype. Norms and biases travel as they are.

    Attributes:
        gather: how the weights of quantised layers travel. ``ternary``: their codes, packed at 2
            bits a weight, made from the fp32 masters once an optimizer step; for engines that
            compute with codes. ``master``: the fp32 masters, quantised after each gathering; for
            any engine. ``auto``: ``ternary`` where it can be had.
        reduce: when gradients are summed over the processes. ``micro_batch``: after each, so that
            a process holds its share of them only. ``step``: after the last micro-batch of an
            optimizer step: less traffic, but every process holds the gradients of the whole model
            in fp32 meanwhile.
        regather: whether backward gathers the weights of a block again; without, they stay from
            forward on, and a process holds all of them at once.
    """

    gather: str = "auto"
    reduce: str = "micro_batch"
    regather: bool = True

    def problems(self) -> list[str]:
        """Human-readable faults of the values, empty when they make sense."""
        return _choice("gather", self.gather, GATHERS) + _choice("reduce", self.reduce, REDUCES)


def _choice(name: str, value: str, valid: tuple[str, ...]) -> list[str]:
    if value in valid:
        return []
    near = get_close_matches(value, valid, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return [f"{name}: '{value}' is unknown{hint} (valid: {', '.join(valid)})"]
