"""What the model computes: losses, caches, dtypes, and the same bits every time."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from bitnet.nn import KVCache, LinearSpec, ModelShape, Transformer
from bitnet.nn.head import token_nll

pytestmark = pytest.mark.usefixtures("fresh_compiler")

SHAPE = ModelShape(dim=64, layers=2, heads=4, kv_heads=2, ffn_dim=96, vocab_size=101)


def _model(kind: str = "bitnet", **options: str) -> Transformer:
    torch.manual_seed(0)
    return Transformer(SHAPE, LinearSpec(kind=kind, **options))


def _tokens(batch: int = 2, length: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, SHAPE.vocabulary, (batch, length), generator=generator)


def _gradients(model: Transformer, tokens: torch.Tensor) -> list[torch.Tensor]:
    model.zero_grad()
    model.nll(tokens[:, :-1], tokens[:, 1:]).mean().backward()
    return [p.grad.clone() for p in model.parameters()]


def test_token_nll_is_cross_entropy() -> None:
    logits = (torch.randn(6, 11) * 4).requires_grad_()
    targets = torch.randint(0, 11, (6,))
    upstream = torch.rand(6)
    nll = token_nll(logits, targets)
    (got,) = torch.autograd.grad(nll, logits, upstream)
    expected = cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(nll, expected)
    torch.testing.assert_close(got, torch.autograd.grad(expected, logits, upstream)[0])


@pytest.mark.parametrize("kind", ["bitnet", "dense"])
def test_nll_agrees_with_the_logits(kind: str) -> None:
    model, tokens = _model(kind), _tokens()
    nll = model.nll(tokens[:, :-1], tokens[:, 1:])
    logits = model(tokens[:, :-1])
    assert logits.dtype == nll.dtype == torch.float32
    expected = cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
    torch.testing.assert_close(nll, expected)


def test_the_future_is_not_seen() -> None:
    model, tokens = _model(), _tokens()
    changed = tokens.clone()
    changed[:, 10:] = (changed[:, 10:] + 1) % SHAPE.vocabulary
    assert torch.equal(model(tokens)[:, :10], model(changed)[:, :10])
    assert not torch.equal(model(tokens)[:, 10:], model(changed)[:, 10:])


@pytest.mark.parametrize("norm", ["outside", "inside"])
def test_engines_agree_through_the_model(norm: str) -> None:
    tokens = _tokens()
    fast, slow = (_model(engine=engine, norm=norm) for engine in ("int8", "reference"))
    for got, expected in zip(_gradients(fast, tokens), _gradients(slow, tokens), strict=True):
        assert (got - expected).norm() < 2e-2 * expected.norm()  # int8 codes may flip by rounding


@pytest.mark.parametrize("kind", ["bitnet", "dense"])
@pytest.mark.parametrize("pieces", [[16], [1] * 16, [5, 1, 7, 3]])
@torch.no_grad()
def test_cached_logits(kind: str, pieces: list[int]) -> None:
    model, tokens = _model(kind), _tokens()
    cache = KVCache(capacity=16)
    parts = [model(part, cache) for part in tokens.split(pieces, dim=1)]
    assert cache.length == 16
    torch.testing.assert_close(torch.cat(parts, 1), model(tokens), rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="holds 16"):
        model(tokens[:, :1], cache)


def test_bf16_runs_and_leaves_masters_alone() -> None:
    torch.manual_seed(0)
    model = Transformer(SHAPE, LinearSpec(), torch.bfloat16)
    tokens = _tokens()
    gradients = _gradients(model, tokens)
    exact = _gradients(_model(), tokens)
    assert all(g.dtype == torch.float32 for g in gradients)
    for got, expected in zip(gradients, exact, strict=True):
        assert (got - expected).norm() < 0.1 * expected.norm()
    assert model(tokens).dtype == torch.float32


@pytest.mark.parametrize("kind", ["bitnet", "dense"])
def test_compiled_blocks(kind: str) -> None:
    """Compiled agrees with eager, twice gives the same bits, and a step is seen."""
    eager, compiled, tokens = _model(kind), _model(kind), _tokens()
    names = list(compiled.state_dict())
    compiled.compile_blocks()
    assert list(compiled.state_dict()) == names
    for _ in range(2):
        expected, got = _gradients(eager, tokens), _gradients(compiled, tokens)
        assert all(
            torch.equal(a, b) for a, b in zip(got, _gradients(compiled, tokens), strict=True)
        )
        for a, b in zip(expected, got, strict=True):
            assert (a - b).norm() < 2e-2 * a.norm()
        for model in (eager, compiled):
            torch.optim.AdamW(model.parameters(), lr=0.05, fused=True).step()
    with torch.no_grad():  # a last batch that is smaller, evaluated
        tokens = tokens[:1]
        pair = [m.nll(tokens[:, :-1], tokens[:, 1:]) for m in (eager, compiled)]
    torch.testing.assert_close(*pair, rtol=5e-2, atol=5e-2)


def test_blocks_compile_without_a_break() -> None:
    for kind in ("bitnet", "dense"):
        model, tokens = _model(kind), _tokens()
        model.compile_blocks()
        block = model.blocks[0]
        block._compiled_call_impl = torch.compile(
            block._call_impl, fullgraph=True, backend="aot_eager"
        )
        model.nll(tokens[:, :-1], tokens[:, 1:]).mean().backward()
        assert block.attention.q.weight.grad is not None


def test_a_small_model_learns() -> None:
    model, tokens = _model(), _tokens(4, 17)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, fused=True)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = model.nll(tokens[:, :-1], tokens[:, 1:]).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(4.6, abs=0.2)  # ln 101
    assert losses[-1] < 2.0
