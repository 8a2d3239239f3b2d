"""Initial weights by scheme: the published standard deviations."""

from math import sqrt

import pytest
import torch

from bitnet.nn import LinearSpec, ModelShape, StageSpec, Transformer

# Scheme: std of hidden matrices with fan-in d, of outputs with fan-in f, and of tables.
D, F, L = 128, 512, 8
EXPECTED = {
    "normal": (0.02, 0.02 / 4, 0.02),
    "small": (sqrt(2 / (5 * D)), 2 / (L * sqrt(D)), sqrt(2 / (5 * D))),
    "kaiming": (sqrt(2 / D), sqrt(2 / F) / 4, sqrt(2 / D)),
}


def model(scheme: str, **changes: object) -> Transformer:
    torch.manual_seed(0)
    shape = ModelShape(dim=D, layers=L, heads=4, ffn_dim=F, vocab_size=600, init=scheme, **changes)
    return Transformer(shape, LinearSpec())


@pytest.mark.parametrize("scheme", EXPECTED)
def test_spread(scheme: str) -> None:
    state = model(scheme).state_dict()
    hidden, output, table = EXPECTED[scheme]
    assert state["blocks.3.ffn.up.weight"].std().item() == pytest.approx(hidden, rel=0.03)
    assert state["blocks.3.ffn.down.weight"].std().item() == pytest.approx(output, rel=0.03)
    assert state["embedding.weight"].std().item() == pytest.approx(table, rel=0.03)


def test_truncated_ends_at_two_deviations() -> None:
    state = model("truncated").state_dict()
    for name, std in (("ffn.up", 0.02), ("ffn.down", 0.02 / 4)):
        weight = state[f"blocks.0.{name}.weight"]
        assert weight.abs().max().item() == pytest.approx(2 * std, rel=0.01)
        assert weight.std().item() == pytest.approx(0.88 * std, rel=0.03)


def test_gains_biases_and_stage_layers() -> None:
    shape = ModelShape(dim=64, layers=2, heads=4, ffn_dim=96, vocab_size=50, norm="layer")
    shape.bias, shape.fused_qkv = True, True
    state = Transformer(shape, LinearSpec("stage", stage=StageSpec(dim=256, heads=4))).state_dict()
    for name, value in state.items():
        if value.ndim == 1:
            assert torch.all(value == (0 if name.endswith("bias") else 1)), name
    small = state["blocks.0.attention.o.out.weight"].std().item()
    assert small == pytest.approx(0.02 / 2, rel=0.05)  # two outer layers
    inner = state["blocks.0.attention.o.blocks.0.attention.o.weight"].std().item()
    assert inner == pytest.approx(0.02 / sqrt(2), rel=0.05)  # one inner layer
    biases = [name for name in state if name.endswith("bias") and "norm" not in name]
    assert biases and all(name.endswith("out.bias") for name in biases)
