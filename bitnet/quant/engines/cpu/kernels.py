"""The kernels of products with ternary codes, built on first use; see :mod:`bitnet.native`."""

from __future__ import annotations

import ctypes
from pathlib import Path

from bitnet.native import Library

PRODUCTS = Library("products", Path(__file__).parent, "bitnet_runs_here", "AVX-512 VNNI")


def load() -> ctypes.CDLL:
    """The compiled kernels.

    Raises:
        KernelUnavailableError: they cannot be built or cannot run here.
    """
    return PRODUCTS.load()


def why_not() -> str | None:
    """Why there are no kernels in this process, or ``None`` if there are."""
    return PRODUCTS.why_not()


def multiplies_bf16() -> bool:
    """Whether the kernels, which have to be there, also make the gradients that stay in bf16."""
    return bool(load().bitnet_has_bf16())
