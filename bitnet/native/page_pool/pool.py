"""The pool as torch's allocator for CPUs, for the whole process."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path

from bitnet.native.build import KernelUnavailableError, Library

_LIBRARY = Library("pages", Path(__file__).parent, "bitnet_moves_pages", "Linux", with_torch=True)
_ELSEWHERE = "" if sys.platform == "linux" else f"{sys.platform} cannot move pages as Linux can"
_in_use = False  # as the library has it, without building one to ask


@dataclass(frozen=True)
class Counts:
    """What the pool holds, and what it did since the process began.

    Attributes:
        in_use: bytes of tensors, whole grains of 256 KiB each.
        spare: bytes of freed blocks.
        asked: blocks that were asked for.
        again: those of them that were spare as they are.
        moves: runs of pages that were moved to another block.
        fresh: bytes that came from the system.
        runs: neighbouring pages that can be moved at once, over all blocks.
    """

    in_use: int
    spare: int
    asked: int
    again: int
    moves: int
    fresh: int
    runs: int


class _Counts(ctypes.Structure):
    """``Pages::Counts`` of pages.h."""

    _fields_ = tuple((name, ctypes.c_int64) for name in Counts.__annotations__)


def why_not() -> str | None:
    """Why there is no pool in this process, or ``None`` if there can be one."""
    return _ELSEWHERE if _ELSEWHERE else _LIBRARY.why_not()


def use_pages() -> None:
    """Take the memory of CPU tensors of 256 KiB and more from the pool from now on.

    Tensors that exist stay as they are. It changes where numbers lie, never a number.

    Raises:
        KernelUnavailableError: there is no compiler, it failed, or this is not Linux.
    """
    global _in_use
    if _ELSEWHERE:
        raise KernelUnavailableError(_ELSEWHERE)
    _LIBRARY.load().bitnet_use_pages()
    _in_use = True


def use_system() -> None:
    """Go back to torch's own allocator; spare blocks return to the system."""
    global _in_use
    if _in_use:
        _LIBRARY.load().bitnet_use_system()
        _in_use = False


def uses_pages() -> bool:
    """Whether new tensors of this process come from the pool."""
    return _in_use


def counts() -> Counts:
    """What the pool holds and did.

    Raises:
        KernelUnavailableError: there is none here.
    """
    told = _Counts()
    _LIBRARY.load().bitnet_page_counts(ctypes.byref(told))
    return Counts(*(getattr(told, name) for name in Counts.__annotations__))
