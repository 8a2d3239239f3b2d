"""Parameter counts of published models to the last digit, and what a spec refuses."""

import pytest
import torch

from bitnet.nn import LinearSpec, ModelShape, Transformer

# name: dim, layers, heads, kv_heads, ffn_dim, vocab, parameters without norm gains.
# The first four published counts are of matrices only; the last is of everything.
PUBLISHED = {
    "700m": (1536, 24, 24, None, 4096, 32000, 728_629_248),
    "1.3b": (2048, 24, 32, None, 5460, 32000, 1_273_298_944),
    "3b": (3200, 26, 32, None, 8640, 32000, 3_323_904_000),
    "3.9b": (3200, 26, 32, None, 12800, 32000, 4_362_240_000),
    "2b4t": (2560, 30, 20, 5, 6912, 128256, 2_412_820_480 - 440_320),
}


def _meta(shape: ModelShape, linear: LinearSpec | None = None) -> Transformer:
    with torch.device("meta"):
        return Transformer(shape, linear or LinearSpec())


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("tied", [True, False])
def test_exact_counts(name: str, tied: bool) -> None:
    dim, layers, heads, kv_heads, ffn, vocab, matrices = PUBLISHED[name]
    shape = ModelShape(name, dim, layers, heads, kv_heads, None, ffn, vocab, tie_embeddings=tied)
    counts = _meta(shape).parameter_counts()
    head = 0 if tied else vocab * dim
    gains = layers * (3 * dim + ffn) + dim
    assert counts["ternary"] + counts["embedding"] == matrices + head
    assert counts["other"] == gains
    assert counts["total"] == matrices + head + gains


def test_released_2b4t_total() -> None:
    shape = ModelShape("2b4t", 2560, 30, 20, 5, None, 6912, 128256, activation="relu2")
    assert _meta(shape).parameter_counts()["total"] == 2_412_820_480


def test_twins_have_the_same_tensors() -> None:
    shape = ModelShape(dim=64, layers=2, heads=4, ffn_dim=96, vocab_size=50)
    for norm in ("outside", "inside"):
        ternary, dense = (
            Transformer(shape, LinearSpec(kind=kind, norm=norm)) for kind in ("bitnet", "dense")
        )
        names = {name: value.shape for name, value in ternary.state_dict().items()}
        assert names == {name: value.shape for name, value in dense.state_dict().items()}
        assert len(ternary.ternary_layers()) == 14
        assert not dense.ternary_layers()
        assert all(p.dtype == torch.float32 for p in ternary.parameters())
    assert "blocks.1.attention.q.weight" in names


def test_norm_inside_takes_the_norms_of_the_block() -> None:
    shape = ModelShape(dim=64, layers=1, heads=4, ffn_dim=96, vocab_size=50)
    outside, inside = (
        {n for n, _ in Transformer(shape, LinearSpec(norm=norm)).named_parameters() if "norm" in n}
        for norm in ("outside", "inside")
    )
    assert {n.removeprefix("blocks.0.") for n in outside} == {
        "attention_norm.weight",
        "attention.attn_sub_norm.weight",
        "ffn_norm.weight",
        "ffn.ffn_sub_norm.weight",
        "head.norm.weight",
    }
    linears = ("attention.q", "attention.k", "attention.v", "attention.o")
    linears += ("ffn.gate", "ffn.up", "ffn.down")
    expected = {f"{name}.norm.weight" for name in linears} | {"head.norm.weight"}
    assert {n.removeprefix("blocks.0.") for n in inside} == expected


def test_initial_spread() -> None:
    torch.manual_seed(0)
    shape = ModelShape(dim=128, layers=8, heads=4, ffn_dim=256, vocab_size=300, init_std=0.04)
    state = Transformer(shape, LinearSpec()).state_dict()
    for name in ("attention.q", "ffn.up"):
        assert state[f"blocks.3.{name}.weight"].std().item() == pytest.approx(0.04, rel=0.03)
    for name in ("attention.o", "ffn.down"):
        assert state[f"blocks.3.{name}.weight"].std().item() == pytest.approx(0.01, rel=0.03)
    assert state["embedding.weight"].std().item() == pytest.approx(0.04, rel=0.03)


def test_flops() -> None:
    shape = ModelShape(dim=64, layers=2, heads=4, ffn_dim=96, vocab_size=50)
    matrices = 2 * (4 * 64 * 64 + 3 * 64 * 96) + 50 * 64
    model = _meta(shape)
    assert model.flops_per_token(128) == 6 * matrices + 3 * 4 * 2 * 64 * 128 / 2


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"heads": 7}, "heads: 7 does not divide dim 256"),
        ({"kv_heads": 3}, "kv_heads: 3 does not divide heads 4"),
        ({"head_dim": 31}, "head_dim: rotary positions need an even width, not 31"),
        ({"layers": 0}, "layers: must be positive, not 0"),
        ({"kv_heads": 0}, "kv_heads: must be positive, not 0"),
        ({"activation": "relu"}, "activation: 'relu' is not one of silu, gelu, relu2; did you"),
    ],
)
def test_shape_problems(change: dict[str, int], line: str) -> None:
    problems = ModelShape(**change).problems()
    assert len(problems) == 1
    assert problems[0].startswith(line)


def test_linear_problems() -> None:
    assert ModelShape().problems() == LinearSpec().problems() == []
    problems = LinearSpec(kind="bitnets", engine="int", norm="insid").problems()
    assert [p.split(":")[0] for p in problems] == ["kind", "norm", "engine"]
    assert "did you mean 'bitnet'?" in problems[0]


def test_a_vocabulary_left_open_or_a_bad_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="vocab_size"):
        Transformer(ModelShape(), LinearSpec())
    with pytest.raises(ValueError, match="heads: 7"):
        Transformer(ModelShape(heads=7, vocab_size=8), LinearSpec())
