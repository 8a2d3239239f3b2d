"""Small C++ kernels for CPUs: how they are built, kept and run, and the headers that they share."""

from bitnet.native.build import KernelUnavailableError, Library
from bitnet.native.scratch import run_with_scratch

__all__ = ["KernelUnavailableError", "Library", "run_with_scratch"]
