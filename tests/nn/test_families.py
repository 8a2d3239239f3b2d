"""Every family with every linear: built, causal, cached, trained; senseless pairs refused."""

import pytest
import torch

from bitnet.nn import KVCache, LinearSpec, ModelShape, Transformer
from bitnet.nn.collapse import collapsed
from tests.nn.families import LINEARS, SHAPES, STAGE

pytestmark = pytest.mark.usefixtures("fresh_compiler")

PAIRS = [(shape, linear) for shape in SHAPES for linear in LINEARS]
SENSELESS = {("mup", "stage"), ("mup", "stage of bitnet")}


def build(shape: str, linear: str, seed: int = 0) -> Transformer:
    """A model whose gains and biases are not at their starting points."""
    torch.manual_seed(seed)
    model = Transformer(SHAPES[shape], LINEARS[linear])
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.rand_like(parameter) - 0.5)
    return model


def some_tokens(batch: int = 2, length: int = 12) -> torch.Tensor:
    return torch.randint(0, 101, (batch, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("shape", "linear"), sorted(set(PAIRS) - SENSELESS))
def test_every_parameter_is_trained(shape: str, linear: str) -> None:
    model, tokens = build(shape, linear), some_tokens()
    model.nll(tokens[:, :-1], tokens[:, 1:]).mean().backward()
    silent = [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().any()
    ]
    assert silent == []
    assert bool(model.ternary_layers()) == (linear not in ("dense", "stage"))


@pytest.mark.parametrize(("shape", "linear"), sorted(set(PAIRS) - SENSELESS))
@torch.no_grad()
def test_no_leak_from_the_future_and_cached_decoding_is_the_same(shape: str, linear: str) -> None:
    model, tokens = build(shape, linear), some_tokens()
    logits, changed = model(tokens), tokens.clone()
    changed[:, 7:] = (changed[:, 7:] + 1) % 101
    assert torch.equal(model(changed)[:, :7], logits[:, :7])
    assert not torch.equal(model(changed)[:, 7:], logits[:, 7:])
    cache = KVCache(capacity=12)
    parts = [model(part, cache) for part in tokens.split([5, 1, 4, 1, 1], dim=1)]
    # An int8 code may flip where sums come in another order.
    bound = 1e-4 if linear in ("dense", "stage") else 3e-2
    assert (torch.cat(parts, 1) - logits).norm() < bound * logits.norm()


@pytest.mark.parametrize(("shape", "linear"), sorted(SENSELESS))
def test_senseless_pairs_are_refused(shape: str, linear: str) -> None:
    with pytest.raises(ValueError, match="kind: muP has no rule for the width inside stage layers"):
        build(shape, linear)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"rotary_fraction": 1.5}, "rotary_fraction: 1.5 is more than the whole head"),
        ({"gated": False, "fused_gate_up": True}, "fused_gate_up: there is no gate to fuse"),
        ({"init": "mup"}, "init: 'mup' and mup_base_dim go together"),
        ({"rotary_fraction": 0.1}, "head_dim: rotary positions need an even width, not 1 of 16"),
        ({"position": "alibis"}, "position: 'alibis' is not one of rotary, learned, alibi; did"),
        (
            {"init": "mup", "mup_base_dim": 32, "embedding_dim": 128},
            "embedding_dim: muP has no rule for a table of another width",
        ),
    ],
)
def test_contradictions_in_a_shape(change: dict[str, object], line: str) -> None:
    sizes = {"dim": 64, "heads": 4, **change}
    problems = ModelShape(**sizes).problems()
    assert len(problems) == 1 and problems[0].startswith(line)


def test_stage_layers_take_no_norms_and_need_room_for_their_heads() -> None:
    shape = SHAPES["glort2"]
    with pytest.raises(ValueError, match="norm: stage layers have norms of their own"):
        Transformer(shape, LinearSpec("stage", norm="inside", stage=STAGE))
    spec = LinearSpec("stage")
    spec.stage.heads, spec.stage.kind = 7, "dens"
    assert [line.split(":")[0] for line in spec.problems()] == ["stage.heads", "stage.kind"]
    assert LinearSpec("dense", stage=spec.stage).problems() == []


def test_learned_positions_end() -> None:
    shape = ModelShape(dim=32, heads=2, layers=1, ffn_dim=48, vocab_size=9, max_sequence_length=8)
    shape.position = "learned"
    model = Transformer(shape, LinearSpec())
    model(torch.zeros(1, 8, dtype=torch.long))
    with pytest.raises(ValueError, match="9 tokens are more than the 8 positions"):
        model(torch.zeros(1, 9, dtype=torch.long))


@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_a_wide_table_folds_into_the_model(tied: bool) -> None:
    torch.manual_seed(0)
    shape = ModelShape(dim=64, layers=1, heads=4, ffn_dim=96, vocab_size=50, embedding_dim=256)
    shape.tie_embeddings = tied
    model, tokens = Transformer(shape, LinearSpec("dense")), some_tokens() % 50
    small = collapsed(model)
    assert small.shape.embedding_dim is None
    torch.testing.assert_close(small(tokens), model(tokens), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="nothing to fold"):
        collapsed(small)


@pytest.mark.parametrize("linear", ["dense", "bitnet"])
@pytest.mark.parametrize("shape", ["pythia", "mosaic", "glort2"])
def test_compiled_families(shape: str, linear: str) -> None:
    """Compiled blocks (ALiBi and parallel residuals included) agree with eager ones."""
    eager, compiled = build(shape, linear), build(shape, linear)
    compiled.compile_blocks()
    tokens = some_tokens(2, 17)
    grads = []
    for model in (eager, compiled):
        model.nll(tokens[:, :-1], tokens[:, 1:]).mean().backward()
        grads.append([p.grad for p in model.parameters()])
    for a, b in zip(*grads, strict=True):
        assert (a - b).norm() < (1e-4 if linear == "dense" else 5e-2) * a.norm()
