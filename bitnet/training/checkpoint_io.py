"""Checkpoints are written whole or not at all, and opened without running anybody's code.

A run may be killed, or a disk fill up, while a checkpoint is written. Here it goes to a temporary
file beside its place, is flushed to the disk, and only then takes its name, so the newest
checkpoint is always a complete one. Reading uses ``weights_only=True``: tensors and plain
containers, no pickled code. Checkpoints of sharded models are folders
(:mod:`bitnet.training.strategies.sharded_folder`), which read as if they were one file.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from bitnet.training.errors import CheckpointError
from bitnet.training.held_signals import signals_held
from bitnet.training.strategies.sharded_folder import is_sharded, read_folder

CHECKPOINT_FORMAT = 2
"""Layout of what this project adds to a checkpoint; raised when an old reader would misread it."""


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's file layer, atomic and safe to open."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,
    ) -> None:
        """Write ``checkpoint`` at ``path``; on any failure the old file there is untouched."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with signals_held(), part.open("wb") as stream:
                torch.save(checkpoint, stream)
                stream.flush()
                os.fsync(stream.fileno())
                part.replace(target)
        except (OSError, RuntimeError) as error:
            part.unlink(missing_ok=True)
            raise CheckpointError(explain_failure(target, error)) from error

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        """Read a checkpoint; always as data only."""
        return read_checkpoint(path)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint that has been superseded."""
        remove_checkpoint(Path(path))


def read_checkpoint(path: str | Path, optimizer: bool = True) -> dict[str, Any]:
    """The plain dict stored at ``path``, on the CPU.

    Args:
        path: a file, or the folder of a sharded checkpoint.
        optimizer: whether the optimizer's state is wanted; a folder can be read without.

    Raises:
        CheckpointError: there is no such file, or it is not a whole checkpoint.
    """
    if is_sharded(path):
        return read_folder(Path(path), optimizer)
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such checkpoint") from error
    except Exception as error:  # torch raises many kinds for a torn or foreign file
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: is not a whole, safe checkpoint ({reason})") from error
    return state


def remove_checkpoint(path: Path) -> None:
    """Delete a checkpoint, of either form; one that is half deleted no longer looks like one."""
    if path.is_dir() and not path.is_symlink():
        leaving = path.with_name(f".{path.name}.{os.getpid()}.gone.part")
        path.replace(leaving)
        shutil.rmtree(leaving, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where folders can be opened (not on Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def explain_failure(target: Path, error: BaseException) -> str:
    """One line: which file, why, and that nothing older was lost."""
    kept = "earlier checkpoints are untouched; resume from them with resume=RUN_DIR"
    # torch's zip writer turns a short write into a RuntimeError about the archive.
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    full = full or "PytorchStreamWriter" in str(error) or "unexpected pos" in str(error)
    if full:
        free = shutil.disk_usage(target.parent).free / 1e6
        return f"{target}: no space left on the disk ({free:.0f} MB free); {kept}"
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{target}: cannot be written ({reason}); {kept}"
