"""Attention in bf16 on a CPU: kernels of our own for compiled passes.

Torch's fused CPU kernel and products in blocks (:mod:`bitnet.nn.blocked_attention`, which serves
where this cannot) both pass scores through memory. Here they live in the cache of one core, in both
directions: about a third of the time, nothing of size T x T anywhere, and one rounding less. Plain
C++ with AVX-512, built as :mod:`bitnet.native` says.
"""

from bitnet.nn.cpu_attention.kernel import serves
from bitnet.nn.cpu_attention.operation import cpu_attention

__all__ = ["cpu_attention", "serves"]
