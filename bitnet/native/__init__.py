"""Small C++ kernels for CPUs: how they are built and kept, and the headers that they share."""

from bitnet.native.build import KernelUnavailableError, Library

__all__ = ["KernelUnavailableError", "Library"]
