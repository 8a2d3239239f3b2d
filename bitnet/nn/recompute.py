"""What backward makes anew instead of keeping: less memory for more arithmetic.

- ``none``: every block keeps what its backward needs.
- ``blocks``: a block keeps its input alone and runs a second time in backward: a third more work.
- ``every_N``: one block in N does so, the first of each N.
- ``selective``: products with weights and fused attention are kept; norms, activations, quantisers
  and casts are made anew. When compiled, the compiler does about as much by itself.

Nothing in a block draws random numbers, and quantised codes do not change between the two runs, so
both compute the same bits. The checkpoint lies inside the block's own call: hooks around a block
(sharding) run once, and a compiler sees it and plans its kernels across it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

_EVERY = re.compile(r"every_([1-9]\d*)")
_VALID = "none, blocks, every_2 (or another number), selective"

_KEPT = (
    *("mm", "addmm", "_int_mm", "_scaled_mm"),
    *("_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu"),
    *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
)
"""Of torch's operations, those whose results ``selective`` keeps. Batched products are not among
them: scores of attention are such, T x T of them."""

_ANEW = ("gated_norm",)
"""Of our own, those that ``selective`` makes anew: no products."""


def recompute_problems(policy: str) -> list[str]:
    """A line if there is no such policy."""
    if policy in ("none", "blocks", "selective") or _EVERY.fullmatch(policy):
        return []
    return [f"recompute: '{policy}' is unknown (valid: {_VALID})"]


def by_block(policy: str, blocks: int) -> list[str]:
    """What each of ``blocks`` blocks makes anew: ``none``, ``blocks`` or ``selective``.

    Raises:
        ValueError: there is no such policy.
    """
    problems = recompute_problems(policy)
    if problems:
        raise ValueError(problems[0])
    every = _EVERY.fullmatch(policy)
    if every is None:
        return [policy] * blocks
    return ["none" if place % int(every[1]) else "blocks" for place in range(blocks)]


def run_again(function: Callable[..., Tensor], policy: str, *args: Any) -> Tensor:
    """``function(*args)``, of which backward keeps what ``policy`` (not ``none``) says."""
    options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}
    chosen = {"selective": _choose}.get(policy, _anew if torch.compiler.is_compiling() else None)
    if chosen is not None:
        options["context_fn"] = partial(create_selective_checkpoint_contexts, chosen)
    result: Tensor = checkpoint(function, *args, **options)
    return result


def _anew(*_: Any, **__: Any) -> CheckpointPolicy:
    """All of a block, said operation by operation.

    Without it torch 2.11's compiler keeps what arises inside an ``autograd.Function``: nearly all.
    """
    return CheckpointPolicy.PREFER_RECOMPUTE


def _choose(context: Any, operation: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    if _is_kept(operation):
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE


def _is_kept(operation: Any) -> bool:
    """Whether it is one of torch's products, or one of our own."""
    if not isinstance(operation, torch._ops.OpOverload):
        return False
    name = operation.overloadpacket.__name__
    if operation.namespace == "bitnet":
        return name not in _ANEW
    return operation.namespace == "aten" and name in _KEPT


def _not_about_in_place(record: logging.LogRecord) -> bool:
    return "context_fn is passed" not in record.getMessage()


# torch's advice for blocks that write into their inputs, which ours do not.
logging.getLogger("torch._higher_order_ops.wrap").addFilter(_not_about_in_place)
