"""The least time that a step can take: its operations and bytes, counted, against the peaks.

A step is cut into parts. Each takes at least the time of its operations at the peak of their format
and at least that of its bytes at the speed of a copy, whichever is longer; the parts come one after
the other. Bytes are those of a step in which everything that can be fused is: every operand of a
product is read once and its result written once, norms read their input once, int32 sums and
unrounded activations are never written. Caches that hold a tensor between two parts are left out,
so small shapes can be faster than their memory bound.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.train.peaks import Peaks
from benchmarks.train.shapes import Shape

FORMS = ("dense", "int8", "int8_grad8")
"""The dense twin; the exact int8 forward; 8-bit input gradients as well."""

_ADAM = 28  # bytes a weight: reads weight, gradient and two moments, writes three, all fp32


@dataclass(frozen=True)
class Part:
    """A part of a step.

    Attributes:
        name: of the part.
        operations: additions and multiplications of its products; 0 where they do not count.
        bytes: read and written.
        int8: whether the operations are those of int8 products.
    """

    name: str
    operations: float
    bytes: float
    int8: bool = False

    def seconds(self, peaks: Peaks) -> float:
        """The least time."""
        peak = peaks.int8 if self.int8 else peaks.bf16
        return max(self.operations / peak, self.bytes / peaks.bytes_per_second)


def linears(shape: Shape) -> list[tuple[int, int]]:
    """``(out, in)`` of every linear of one block."""
    dim, ffn = shape.dim, shape.ffn_dim
    return [(dim, dim)] * 4 + [(ffn, dim)] * 2 + [(dim, ffn)]


def parts(shape: Shape, form: str) -> list[Part]:
    """What a step of ``form`` (one of ``FORMS``) is made of."""
    quantised = form != "dense"
    return [
        _forward(shape, quantised),
        _input_gradient(shape, quantised, form == "int8_grad8"),
        _weight_gradient(shape, quantised),
        _elementwise(shape, quantised, form == "int8_grad8"),
        _attention(shape),
        _head(shape),
        _weights(shape, form),
        _optimizer(shape),
    ]


def bound(shape: Shape, form: str, peaks: Peaks) -> float:
    """The least seconds of a step."""
    return sum(part.seconds(peaks) for part in parts(shape, form))


def _matrices(shape: Shape) -> float:
    """Weights in the linears of all blocks."""
    return float(shape.layers * sum(n * k for n, k in linears(shape)))


def _ins(shape: Shape) -> float:
    """Input features over all blocks, those that q, k, v and gate, up share counted once."""
    return float(shape.layers * (3 * shape.dim + shape.ffn_dim))


def _outs(shape: Shape) -> float:
    return float(shape.layers * sum(n for n, _ in linears(shape)))


def _forward(shape: Shape, quantised: bool) -> Part:
    width = 1 if quantised else 2
    read = width * (shape.tokens * _ins(shape) + _matrices(shape))
    written = 2 * shape.tokens * _outs(shape)
    return Part("forward", 2 * shape.tokens * _matrices(shape), read + written, int8=quantised)


def _input_gradient(shape: Shape, quantised: bool, rounded: bool) -> Part:
    read = (1 if rounded else 2) * shape.tokens * _outs(shape)
    read += (1 if quantised else 2) * _matrices(shape)
    written = 2 * shape.tokens * _ins(shape)
    operations = 2 * shape.tokens * _matrices(shape)
    return Part("input gradient", operations, read + written, int8=rounded)


def _weight_gradient(shape: Shape, quantised: bool) -> Part:
    read = 2 * shape.tokens * _outs(shape)
    read += (1 if quantised else 2) * shape.tokens * _ins(shape)
    written = 4 * _matrices(shape)
    return Part("weight gradient", 2 * shape.tokens * _matrices(shape), read + written)


def _elementwise(shape: Shape, quantised: bool, rounded: bool) -> Part:
    """Norms, quantisers, rotation, activation and residuals of the blocks.

    In units of ``tokens * dim`` or ``tokens * ffn_dim`` elements of two bytes: forward reads and
    writes q and k (4), reads attention's output and both residuals (5) and writes the sums (2);
    reads gate and up (2 ffn). What the four norms write is the input of the products: two bytes, or
    one if quantised. Backward reads what forward read and wrote, and writes as many gradients as
    forward has inputs. Rounded gradients are read once more and written in one byte.
    """
    tokens, dim, ffn = shape.tokens, shape.dim, shape.ffn_dim
    forward = 2.0 * tokens * shape.layers * (11 * dim + 2 * ffn)
    normed = (1 if quantised else 2) * tokens * _ins(shape)
    gradients = 3.0 * tokens * _outs(shape) if rounded else 0.0
    return Part("norms and the like", 0, 3 * forward + 2 * normed + gradients)


def _attention(shape: Shape) -> Part:
    """Causal, without writing scores: forward moves 4 tensors, backward 8; half is looked at."""
    operations = 3.0 * 2 * shape.tokens * shape.length * shape.dim * shape.layers
    return Part("attention", operations, 12.0 * 2 * shape.tokens * shape.dim * shape.layers)


def _head(shape: Shape) -> Part:
    """Logits in bf16: written, read by the loss, read and written as gradients, read twice."""
    operations = 6.0 * shape.tokens * shape.vocab * shape.dim
    logits = 6.0 * 2 * shape.tokens * shape.vocab
    table = (4 + 2 + 3 * 2 + 4) * float(shape.vocab * shape.dim)
    return Part("head and loss", operations, logits + table + 8.0 * shape.tokens * shape.dim)


def _weights(shape: Shape, form: str) -> Part:
    """Making the form that products read: a bf16 copy, or codes in one layout or in two."""
    each = {"dense": 4 + 2, "int8": 2 * 4 + 1, "int8_grad8": 2 * 4 + 2}[form]
    return Part("weights anew", 0, each * _matrices(shape))


def _optimizer(shape: Shape) -> Part:
    return Part("optimizer", 0, _ADAM * (_matrices(shape) + float(shape.vocab * shape.dim)))
