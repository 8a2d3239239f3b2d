"""Parameters and optimizer state of a sharded model, to a checkpoint folder and back.

A folder says nothing of how many processes wrote it: tensors are whole there, and each process
reads the rows that are its own now.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor

from bitnet.training.checkpoint_io import explain_failure, flush_folder, remove_checkpoint
from bitnet.training.errors import CheckpointError
from bitnet.training.held_signals import signals_held
from bitnet.training.strategies.rows import ordinary, rows_of
from bitnet.training.strategies.sharded_folder import (
    FAULTS,
    MODEL,
    OPTIMIZER,
    PLAIN,
    SafeReader,
    Writer,
    cause,
    joined,
    not_whole,
    parted,
    read_plain_part,
    sizes_of,
)

if TYPE_CHECKING:
    from lightning.pytorch.strategies import Strategy


def write_sharded(checkpoint: dict[str, Any], target: Path, strategy: Strategy) -> None:
    """Write ``checkpoint`` as the folder ``target``; every process must call it.

    The folder is filled under another name, flushed to the disk and renamed.

    Raises:
        CheckpointError: it could not be written; raised on every process.
    """
    with signals_held():
        _write(checkpoint, target, strategy)


def _write(checkpoint: dict[str, Any], target: Path, strategy: Strategy) -> None:
    plain, tensors = parted(checkpoint)
    part = target.with_name(f".{target.name}.{strategy.broadcast(os.getpid())}.part")
    _together(strategy, target, lambda: _clear(target, part))
    try:
        parts = {name: ordinary(each) for name, each in tensors.items()}
        save(parts, storage_writer=Writer(part))
    except FAULTS as error:  # what failed on any process is raised on all
        raise CheckpointError(explain_failure(target, cause(error))) from error
    _together(strategy, target, lambda: _finish(plain, part, target))


def read_sharded(
    folder: Path, module: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, Any]:
    """Read this process's rows in place; every process must call it.

    Returns:
        The plain part of the checkpoint.

    Raises:
        CheckpointError: it is not a whole checkpoint of this model.
    """
    try:
        plain, sizes = read_plain_part(folder), sizes_of(folder)
        own = {MODEL + name: ordinary(value) for name, value in module.state_dict().items()}
        _refuse_others(own, {name for name in sizes if name.startswith(MODEL)}, folder)
        for number, optimizer in enumerate(optimizers):
            own |= _room_for_state(optimizer, f"{OPTIMIZER}{number}.", sizes)
        load(own, storage_reader=SafeReader(str(folder)))
    except CheckpointError:
        raise
    except FAULTS as error:
        raise not_whole(folder, error) from error
    state = joined(plain, own)
    for optimizer, saved in zip(optimizers, state["optimizer_states"], strict=False):
        optimizer.load_state_dict(saved)
    return state


def spread(
    checkpoint: dict[str, Any],
    module: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    path: Path,
) -> dict[str, Any]:
    """Take this process's rows of a checkpoint that one process wrote in one file.

    Raises:
        CheckpointError: it is one of another model.
    """
    own, saved = module.state_dict(), checkpoint["state_dict"]
    _refuse_others(own, set(saved), path)
    with torch.no_grad():
        for name, value in own.items():
            ordinary(value).copy_(rows_of(saved[name], value))
    for optimizer, state in zip(optimizers, checkpoint["optimizer_states"], strict=False):
        parameters = _parameters(optimizer)
        for index, values in state["state"].items():
            for key, value in values.items():
                if isinstance(value, Tensor) and value.shape == parameters[index].shape:
                    values[key] = rows_of(value, parameters[index])
        optimizer.load_state_dict(state)
    return checkpoint


def optimizer_plain(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state dict of the optimizer itself, not of what Lightning may have put around it."""
    inner = getattr(optimizer, "_optimizer", optimizer)
    state: dict[str, Any] = inner.state_dict()
    return state


def _room_for_state(
    optimizer: torch.optim.Optimizer,
    prefix: str,
    sizes: dict[str, tuple[torch.Size, torch.dtype]],
) -> dict[str, Tensor]:
    """Tensors to read an optimizer's state into, sharded like the parameters it is of."""
    parameters, room = _parameters(optimizer), dict[str, Tensor]()
    for name, (size, dtype) in sizes.items():
        if not name.startswith(prefix):
            continue
        parameter = parameters[int(name.removeprefix(prefix).split(".")[0])]
        if size == parameter.shape and isinstance(parameter, DTensor):
            room[name] = torch.zeros_like(ordinary(parameter), dtype=dtype)
        else:
            room[name] = torch.zeros(size, dtype=dtype)
    return room


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """In the order in which a state dict numbers them."""
    return [each for group in optimizer.param_groups for each in group["params"]]


def _refuse_others(own: dict[str, Tensor], saved: set[str], path: Path) -> None:
    wrong = sorted(set(own) ^ saved)
    if wrong:
        raise CheckpointError(
            f"{path}: is a checkpoint of another model ({len(wrong)} parameters differ, "
            f"such as {wrong[0].removeprefix(MODEL)})"
        )


def _clear(target: Path, part: Path) -> None:
    """Remove what killed writers left, and make the folder to fill."""
    for left in target.parent.glob(f".{target.name}.*.part"):
        shutil.rmtree(left, ignore_errors=True)
    part.mkdir(parents=True)


def _finish(plain: dict[str, Any], part: Path, target: Path) -> None:
    with (part / PLAIN).open("wb") as stream:
        torch.save(plain, stream)
        stream.flush()
        os.fsync(stream.fileno())
    flush_folder(part)
    remove_checkpoint(target)  # of a step that is taken again: last.ckpt names an older one
    part.replace(target)
    flush_folder(target.parent)


def _together(strategy: Strategy, target: Path, work: Callable[[], None]) -> None:
    """Have rank 0 do the work; if it fails, fail everywhere."""
    failure: str | None = None
    if strategy.is_global_zero:
        try:
            work()
        except (OSError, RuntimeError) as error:
            failure = explain_failure(target, error)
    failure = strategy.broadcast(failure)
    if failure is not None:
        raise CheckpointError(failure)
