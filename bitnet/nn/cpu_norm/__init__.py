"""Norms in bf16 on a CPU: kernels of our own for compiled passes.

``norm(act(gate) * up)``, the middle of the feed-forward layer, takes a compiler five passes over
memory forward and four backward, and forward's middle lies there in fp32. Here a row is read once
and stays in the cache of one core until it is done, in both directions. Of plain norms only
backward is made here: forward, a compiler joins them to the rounding that follows. Gradients are
written over the ones that come in, so a layer holds no more at its fullest moment than compiled
code does. Plain C++ with AVX-512, built as :mod:`bitnet.native` says.
"""

from bitnet.nn.cpu_norm.kernel import ACTIVATIONS, serves
from bitnet.nn.cpu_norm.operation import gated_norm, rms_scaled

__all__ = ["ACTIVATIONS", "gated_norm", "rms_scaled", "serves"]
