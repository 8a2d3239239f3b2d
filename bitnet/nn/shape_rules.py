"""What a shape, and a shape with a kind of linear, may not be; a line a problem."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from bitnet.nn.linear_spec import LinearSpec
from bitnet.nn.shape import ModelShape

CHOICES = {
    "position": ("rotary", "learned", "alibi"),
    "norm": ("rms", "layer"),
    "residual": ("sequential", "parallel"),
    "activation": ("silu", "gelu", "relu2"),
    "init": ("normal", "truncated", "small", "kaiming", "mup"),
}
"""Field to its valid values."""

_POSITIVE = (
    *("dim", "layers", "heads", "kv_heads", "head_dim", "ffn_dim", "vocab_size"),
    *("max_sequence_length", "rope_base", "rotary_fraction", "alibi_max", "norm_eps"),
    *("embedding_dim", "embedding_scale", "logit_scale", "mup_base_dim", "init_std"),
)


def shape_problems(shape: ModelShape) -> list[str]:
    """What is wrong with a shape by itself."""
    found = [
        f"{name}: must be positive, not {value}"
        for name in _POSITIVE
        if (value := getattr(shape, name)) is not None and value <= 0
    ]
    found += [] if found else _heads(shape)
    for field, valid in CHOICES.items():
        found += choice_problem(field, getattr(shape, field), valid)
    return found + _contradictions(shape)


def choice_problem(field: str, value: str, valid: Iterable[str]) -> list[str]:
    """A line if ``value`` is none of ``valid``."""
    names = list(valid)
    if value in names:
        return []
    near = get_close_matches(value, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return [f"{field}: {value!r} is not one of {', '.join(names)}{hint}"]


def combination_problems(shape: ModelShape, linear: LinearSpec) -> list[str]:
    """What makes no sense about a shape made of this linear; each line names the linear's field."""
    found = []
    if linear.kind == "stage":
        if shape.mup_base_dim is not None:
            found.append("kind: muP has no rule for the width inside stage layers; use dense")
        if linear.norm != "outside":
            found.append(f"norm: stage layers have norms of their own; not '{linear.norm}'")
    return found


def _heads(shape: ModelShape) -> list[str]:
    found = []
    if shape.head_dim is None and shape.dim % shape.heads:
        found.append(f"heads: {shape.heads} does not divide dim {shape.dim} (or set head_dim)")
    elif shape.position == "rotary" and (shape.rotary_width % 2 or not shape.rotary_width):
        found.append(
            f"head_dim: rotary positions need an even width, not {shape.rotary_width}"
            + (f" of {shape.head_width}" if shape.rotary_fraction != 1 else "")
        )
    if shape.heads % shape.key_value_heads:
        found.append(f"kv_heads: {shape.kv_heads} does not divide heads {shape.heads}")
    return found


def _contradictions(shape: ModelShape) -> list[str]:
    found = []
    if shape.rotary_fraction > 1:
        found.append(f"rotary_fraction: {shape.rotary_fraction} is more than the whole head")
    if shape.fused_gate_up and not shape.gated:
        found.append("fused_gate_up: there is no gate to fuse (gated=false)")
    if shape.mup_base_dim is not None and shape.embedding_dim is not None:
        found.append("embedding_dim: muP has no rule for a table of another width; unset one")
    if (shape.init == "mup") != (shape.mup_base_dim is not None):
        found.append("init: 'mup' and mup_base_dim go together; set both or neither")
    return found
