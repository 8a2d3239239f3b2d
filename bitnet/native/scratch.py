"""Memory that a kernel needs while it runs is a tensor: it counts with them and serves them later.

What a kernel keeps for itself stays mapped for ever beside the tensors. Here each call brings what
the kernel asks for (``scratch.h``), from the allocator that all tensors share.
"""

from __future__ import annotations

import ctypes
from typing import Any, Protocol

import torch
from torch import Tensor


class Kernel(Protocol):
    """A function of a ctypes library that wants memory.

    Its last argument is memory, ``uint8_t*``, and it returns how many bytes it wants; if the
    argument is null it does nothing else.
    """

    restype: Any

    def __call__(self, *arguments: Any) -> Any:
        """What it wants, in bytes."""


def run_with_scratch(kernel: Kernel, *arguments: Any) -> None:
    """Call a kernel with memory of the size that it asks for, which is freed afterwards.

    Args:
        kernel: what is called.
        arguments: all but the memory.
    """
    kernel.restype = ctypes.c_int64
    memory = scratch(kernel(*arguments, None))
    kernel(*arguments, ctypes.c_void_p(memory.data_ptr()))


def scratch(size: int) -> Tensor:
    """Bytes of any content; at least one, since null would be a question."""
    return torch.empty(max(size, 1), dtype=torch.uint8, device="cpu")
