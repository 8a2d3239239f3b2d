"""``config.json`` of a LLaMA-like model as one of our shapes.

Only models that our Transformer computes exactly are let through. Whatever a configuration switches
on beyond that (scaled rotary positions, sliding windows, packed weights) is refused by name, since
such a model would load and be subtly wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bitnet.export.errors import WeightsError
from bitnet.nn import ModelShape

Config = dict[str, Any]

ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu": "gelu", "relu2": "relu2"}
"""Their name to ours; ``gelu`` is the exact one on both sides."""


@dataclass(frozen=True)
class Architecture:
    """What an architecture leaves out of its ``config.json``, as ``transformers`` fills it in."""

    rope_base: float
    norm_eps: float
    activation: str = "silu"
    kv_heads: int | None = None
    sub_norm: bool = False


ARCHITECTURES = {
    "LlamaForCausalLM": Architecture(rope_base=10000.0, norm_eps=1e-6),
    "MistralForCausalLM": Architecture(rope_base=10000.0, norm_eps=1e-6, kv_heads=8),
    "BitNetForCausalLM": Architecture(
        rope_base=500000.0, norm_eps=1e-5, activation="relu2", sub_norm=True
    ),
}
"""The architectures that are ours under another name."""


def shape_of(config: Config) -> ModelShape:
    """The shape that a ``config.json`` describes.

    Raises:
        WeightsError: the model is of another kind, or does something that ours cannot.
    """
    architecture = _architecture(config)
    problems = _beyond_us(config)
    if problems:
        raise WeightsError("\n".join(f"config.json: {line}" for line in problems))
    kv_heads = config.get("num_key_value_heads", architecture.kv_heads)
    return ModelShape(
        name=str(config.get("model_type", "llama")),
        dim=_whole(config, "hidden_size"),
        layers=_whole(config, "num_hidden_layers"),
        heads=_whole(config, "num_attention_heads"),
        kv_heads=kv_heads,
        head_dim=config.get("head_dim"),
        ffn_dim=_whole(config, "intermediate_size"),
        vocab_size=_whole(config, "vocab_size"),
        max_sequence_length=int(config.get("max_position_embeddings", 2048)),
        rope_base=float(_rope(config).get("rope_theta") or architecture.rope_base),
        norm_eps=float(config.get("rms_norm_eps", architecture.norm_eps)),
        bias=bool(config.get("attention_bias", False)),
        activation=ACTIVATIONS[config.get("hidden_act", architecture.activation)],
        sub_norm=architecture.sub_norm,
        tie_embeddings=bool(config.get("tie_word_embeddings", False)),
    )


def _architecture(config: Config) -> Architecture:
    names = config.get("architectures") or ["none"]
    if names[0] not in ARCHITECTURES:
        valid = ", ".join(ARCHITECTURES)
        raise WeightsError(f"config.json: {names[0]} is not supported (valid: {valid})")
    return ARCHITECTURES[names[0]]


def _beyond_us(config: Config) -> list[str]:
    """What the model does that ours does not, a line each."""
    found = []
    rope, act = _rope(config), config.get("hidden_act")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", None):
        found.append(f"rotary positions of type '{kind}' are not supported, only plain ones")
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        found.append("rotary positions over part of a head are not supported")
    if config.get("sliding_window") is not None:
        found.append(f"sliding_window={config['sliding_window']} is not supported")
    if act is not None and act not in ACTIVATIONS:
        found.append(f"hidden_act '{act}' is not supported (valid: {', '.join(ACTIVATIONS)})")
    if bool(config.get("attention_bias")) != bool(config.get("mlp_bias")):
        found.append("biases in only one of attention and feed-forward are not supported")
    quantised = config.get("quantization_config")
    if quantised and quantised.get("quantization_mode") != "online":
        method = quantised.get("quant_method", "?")
        found.append(f"its weights are quantised ({method}); training needs full-precision ones")
    return found


def _rope(config: Config) -> Config:
    """Rotary settings; they lay at the top level before transformers 5."""
    given = config.get("rope_parameters") or config.get("rope_scaling") or {}
    top = {name: config[name] for name in ("rope_theta",) if config.get(name) is not None}
    return {**top, **{name: value for name, value in given.items() if value is not None}}


def _whole(config: Config, name: str) -> int:
    value = config.get(name)
    if not isinstance(value, int):
        raise WeightsError(f"config.json: has no {name}")
    return value
