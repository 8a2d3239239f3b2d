"""Logits and gradients against transformers, with our weights copied over."""

import pytest
import torch
from torch import nn

from bitnet.nn import LinearSpec, ModelShape, Transformer

transformers = pytest.importorskip("transformers")

NAMES = {
    "embedding.weight": "model.embed_tokens.weight",
    "head.norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn.ffn_sub_norm": "mlp.ffn_sub_norm",
    "attention.attn_sub_norm": "self_attn.attn_sub_norm",
    **{f"attention.{x}.": f"self_attn.{x}_proj." for x in "qkvo"},
    **{f"ffn.{x}.": f"mlp.{x}_proj." for x in ("gate", "up", "down")},
    "blocks.": "model.layers.",
}


def _peer_name(name: str) -> str:
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    return name


def _twin(shape: ModelShape, kind: str, config: type, model: type) -> tuple[Transformer, nn.Module]:
    torch.manual_seed(0)
    ours = Transformer(shape, LinearSpec(kind=kind))
    for parameter in ours.parameters():
        if parameter.ndim == 1:  # gains of 1 would hide a misplaced norm
            nn.init.uniform_(parameter, 0.5, 1.5)
    theirs = model(
        config(
            vocab_size=shape.vocabulary,
            hidden_size=shape.dim,
            intermediate_size=shape.ffn_dim,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.key_value_heads,
            rms_norm_eps=shape.norm_eps,
            hidden_act=shape.activation,
            rope_parameters={"rope_type": "default", "rope_theta": shape.rope_base},
            tie_word_embeddings=shape.tie_embeddings,
            max_position_embeddings=shape.max_sequence_length,
        )
    )
    state = {_peer_name(name): value for name, value in ours.state_dict().items()}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert set(missing) <= {"lm_head.weight"}
    assert not unexpected
    theirs.tie_weights()
    return ours, theirs


def _agree(ours: Transformer, theirs: nn.Module, bound: float) -> None:
    tokens = torch.randint(0, ours.shape.vocabulary, (2, 24), generator=torch.Generator())
    logits, expected = ours(tokens), theirs(tokens).logits
    assert (logits - expected).norm() < bound * expected.norm()
    grad = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    logits.backward(grad)
    expected.backward(grad)
    theirs_by_name = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        peer = theirs_by_name[_peer_name(name)].grad
        assert (parameter.grad - peer).norm() < bound * peer.norm(), name


SMALL = {"dim": 64, "layers": 2, "heads": 4, "kv_heads": 2, "ffn_dim": 96, "vocab_size": 101}


@pytest.mark.parametrize("tied", [True, False])
def test_dense_is_llama(tied: bool) -> None:
    shape = ModelShape(**SMALL, sub_norm=False, tie_embeddings=tied)
    _agree(
        *_twin(shape, "dense", transformers.LlamaConfig, transformers.LlamaForCausalLM), bound=1e-5
    )


def _quantised_online(model: nn.Module) -> None:
    from transformers.integrations.bitnet import AutoBitLinear

    for parent in list(model.model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                layer = AutoBitLinear(
                    child.in_features, child.out_features, bias=False, online_quant=True
                )
                layer.weight = child.weight
                setattr(parent, name, layer)


@torch.no_grad()
def test_quantised_logits_are_bitnet() -> None:
    """To 1e-5, but where another order of summation flips an int8 code: worth 5e-3 of a logit."""
    shape = ModelShape(**SMALL, activation="relu2", rope_base=500000.0)
    ours, theirs = _twin(shape, "bitnet", transformers.BitNetConfig, transformers.BitNetForCausalLM)
    _quantised_online(theirs)
    errors = []
    with torch.compiler.set_stance("force_eager"):
        for seed in range(8):
            tokens = torch.randint(0, 101, (2, 24), generator=torch.Generator().manual_seed(seed))
            expected = theirs(tokens).logits
            errors.append(float((ours(tokens) - expected).norm() / expected.norm()))
    assert max(errors) < 2e-2
    assert sum(error < 1e-5 for error in errors) >= 6


@pytest.mark.parametrize("kind", ["dense", "bitnet"])
def test_sub_norms_and_relu2_are_bitnet(kind: str) -> None:
    """Gradients too. One int8 rounding flip is worth up to 5e-3 of a logit."""
    shape = ModelShape(**SMALL, activation="relu2", rope_base=500000.0)
    twins = _twin(shape, kind, transformers.BitNetConfig, transformers.BitNetForCausalLM)
    if kind == "bitnet":
        _quantised_online(twins[1])
    with torch.compiler.set_stance("force_eager"):
        _agree(*twins, bound=1e-5 if kind == "dense" else 2e-2)
