"""Logits and gradients of other families against transformers, with our weights copied over."""

import pytest
import torch
from torch import Tensor, nn

from bitnet.nn import LinearSpec, ModelShape, Transformer

transformers = pytest.importorskip("transformers")

LAYER_NORMS = {"norm": "layer", "bias": True, "gated": False, "activation": "gelu"}
SMALL = {"dim": 64, "layers": 2, "heads": 4, "ffn_dim": 256, "vocab_size": 101, "sub_norm": False}


def ours(**changes: object) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(ModelShape(**{**SMALL, **LAYER_NORMS, **changes}), LinearSpec("dense"))
    for parameter in model.parameters():
        if parameter.ndim == 1:  # gains of 1 and biases of 0 would hide a misplaced norm
            nn.init.uniform_(parameter, 0.5, 1.5)
    return model


def agree(model: Transformer, peer: nn.Module, pairs: dict[str, str], fused: str) -> None:
    """Same logits, and same gradients for the weights that both hold in the same form."""
    tokens = torch.randint(0, 101, (2, 24), generator=torch.Generator().manual_seed(0))
    logits, expected = model(tokens), peer(tokens).logits
    assert (logits - expected).norm() < 1e-5 * expected.norm()
    grad = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    logits.backward(grad)
    expected.backward(grad)
    mine, theirs = dict(model.named_parameters()), dict(peer.named_parameters())
    compared = 0
    for name, parameter in mine.items():
        other = theirs.get(_renamed(name, pairs))
        if other is None:
            assert fused in name
            continue
        got = parameter.grad if parameter.shape == other.shape else parameter.grad.T
        assert (got - other.grad).norm() < 1e-5 * other.grad.norm(), name
        compared += 1
    assert compared >= len(mine) - 12


def _renamed(name: str, pairs: dict[str, str]) -> str:
    for ours_name, theirs in pairs.items():
        name = name.replace(ours_name, theirs)
    return name


NEOX = {
    "embedding.weight": "gpt_neox.embed_in.weight",
    "head.norm": "gpt_neox.final_layer_norm",
    "head.weight": "lm_head.weight",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attention.o.": "attention.dense.",
    "ffn.up": "mlp.dense_h_to_4h",
    "ffn.down": "mlp.dense_4h_to_h",
    "blocks.": "gpt_neox.layers.",
}


def _neox_state(model: Transformer) -> dict[str, Tensor]:
    """Our weights under GPT-NeoX's names; its q, k and v lie side by side within each head."""
    state = model.state_dict()
    found = {_renamed(k, NEOX): v for k, v in state.items() if "attention.q." not in k}
    found = {k: v for k, v in found.items() if "attention.k." not in k and "attention.v." not in k}
    for n in range(model.shape.layers):
        for kind in ("weight", "bias"):
            parts = [state[f"blocks.{n}.attention.{x}.{kind}"] for x in "qkv"]
            heads = [part.unflatten(0, (model.shape.heads, -1)) for part in parts]
            joined = torch.cat(heads, dim=1).flatten(0, 1)
            found[f"gpt_neox.layers.{n}.attention.query_key_value.{kind}"] = joined
    return found


@pytest.mark.parametrize("residual", ["parallel", "sequential"])
@pytest.mark.parametrize("rotary", [0.25, 1.0])
def test_gpt_neox(residual: str, rotary: float) -> None:
    model = ours(residual=residual, rotary_fraction=rotary, tie_embeddings=False)
    peer = transformers.GPTNeoXForCausalLM(
        transformers.GPTNeoXConfig(
            vocab_size=101,
            hidden_size=64,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            hidden_act="gelu",
            use_parallel_residual=residual == "parallel",
            layer_norm_eps=1e-5,
            tie_word_embeddings=False,
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": rotary,
            },
        )
    )
    missing, unexpected = peer.load_state_dict(_neox_state(model), strict=False)
    assert not unexpected and all("rotary" in name or "masked_bias" in name for name in missing)
    agree(model, peer, NEOX, fused="attention.")


GPT2 = {
    "embedding.weight": "transformer.wte.weight",
    "positions.weight": "transformer.wpe.weight",
    "head.norm": "transformer.ln_f",
    "attention_norm": "ln_1",
    "ffn_norm": "ln_2",
    "attention.o.": "attn.c_proj.",
    "ffn.up": "mlp.c_fc",
    "ffn.down": "mlp.c_proj",
    "blocks.": "transformer.h.",
}


def test_cerebras_is_gpt2() -> None:
    model = ours(position="learned", max_sequence_length=32, init="truncated")
    peer = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=101,
            n_positions=32,
            n_embd=64,
            n_layer=2,
            n_head=4,
            activation_function="gelu",
            **{f"{name}_pdrop": 0.0 for name in ("attn", "embd", "resid")},
        )
    ).eval()
    state = model.state_dict()
    theirs = peer.state_dict()
    for name, value in state.items():
        if not any(f"attention.{x}." in name for x in "qkv"):
            target = _renamed(name, GPT2)
            theirs[target] = value if value.shape == theirs[target].shape else value.t()
    for n in range(2):
        for kind in ("weight", "bias"):
            parts = [state[f"blocks.{n}.attention.{x}.{kind}"] for x in "qkv"]
            theirs[f"transformer.h.{n}.attn.c_attn.{kind}"] = torch.cat(parts, dim=0).t()
        for mine, other in (("attention.o", "attn.c_proj"), ("ffn.down", "mlp.c_proj")):
            # Square or not, GPT-2 keeps its matrices the other way round.
            theirs[f"transformer.h.{n}.{other}.weight"] = state[f"blocks.{n}.{mine}.weight"].T
    theirs["lm_head.weight"] = state["embedding.weight"]
    peer.load_state_dict(theirs)
    tokens = torch.randint(0, 101, (2, 24), generator=torch.Generator().manual_seed(0))
    logits, expected = model(tokens), peer(tokens).logits
    assert (logits - expected).norm() < 1e-5 * expected.norm()


def test_mosaic_is_its_description() -> None:
    """ALiBi and norms of whole queries and keys, written out without any of our parts."""
    model = ours(bias=False, position="alibi", qk_norm=True, init="kaiming", heads=4)
    tokens = torch.randint(0, 101, (2, 24), generator=torch.Generator().manual_seed(0))
    expected = _mosaic(model.state_dict(), tokens, heads=4, layers=2)
    logits = model(tokens)
    assert (logits - expected).norm() < 1e-5 * expected.norm()
    assert not [name for name in model.state_dict() if "bias" in name]


def _mosaic(w: dict[str, Tensor], tokens: Tensor, heads: int, layers: int) -> Tensor:
    """Mosaic GPT in fp64, sample by sample and head by head."""
    w = {name: value.double() for name, value in w.items()}

    def norm(x: Tensor, gain: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * gain

    results = []
    for row in tokens:
        x = w["embedding.weight"][row]
        length, width = x.shape[0], x.shape[1] // heads
        for n in range(layers):
            p = f"blocks.{n}."
            h = norm(x, w[p + "attention_norm.weight"])
            q = norm(h @ w[p + "attention.q.weight"].T, w[p + "attention.q_norm.weight"])
            k = norm(h @ w[p + "attention.k.weight"].T, w[p + "attention.k_norm.weight"])
            v = h @ w[p + "attention.v.weight"].T
            mixed = torch.zeros_like(v)
            for head in range(heads):
                part = slice(head * width, (head + 1) * width)
                slope = 2 ** (-8 * (head + 1) / heads)
                for t in range(length):
                    scores = q[t, part] @ k[: t + 1, part].T / width**0.5
                    # The published form: a bias on keys, counted back from the last one.
                    scores = scores + slope * (torch.arange(t + 1) - (length - 1))
                    mixed[t, part] = scores.softmax(-1) @ v[: t + 1, part]
            x = x + mixed @ w[p + "attention.o.weight"].T
            h = norm(x, w[p + "ffn_norm.weight"]) @ w[p + "ffn.up.weight"].T
            h = h * 0.5 * (1 + torch.erf(h / 2**0.5))
            x = x + h @ w[p + "ffn.down.weight"].T
        results.append(norm(x, w["head.norm.weight"]) @ w["embedding.weight"].T)
    return torch.stack(results)
