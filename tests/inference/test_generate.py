"""Generation: the cache changes nothing, seeds decide, limits hold."""

import pytest
import torch

from bitnet.inference import SamplingSpec, generate, stream
from bitnet.nn import LinearSpec, ModelShape, Transformer


def _model(kind: str = "bitnet") -> Transformer:
    torch.manual_seed(0)
    shape = ModelShape(
        dim=64, layers=2, heads=4, kv_heads=2, ffn_dim=96, vocab_size=40, max_sequence_length=24
    )
    return Transformer(shape, LinearSpec(kind=kind))


@pytest.mark.parametrize("kind", ["bitnet", "dense"])
@pytest.mark.parametrize("sampling", [SamplingSpec(), SamplingSpec(1.0, 10, 0.9, seed=3)])
def test_cached_equals_uncached(kind: str, sampling: SamplingSpec) -> None:
    model = _model(kind)
    cached, plain = (generate(model, [1, 2, 3], sampling, None, use) for use in (True, False))
    assert cached == plain
    assert len(cached) == 21  # up to max_sequence_length


def test_greedy_takes_the_likeliest() -> None:
    model = _model()
    ids = [1, 2, 3]
    for token in generate(model, ids, SamplingSpec(max_new_tokens=5), None):
        assert token == model(torch.tensor([ids]))[0, -1].argmax().item()
        ids.append(token)
    assert len(ids) == 8


def test_seed_decides_and_global_state_is_left_alone() -> None:
    model = _model()
    before = torch.get_rng_state()
    first, second, other = (
        generate(model, [1], SamplingSpec(1.0, seed=seed), None) for seed in (1, 1, 2)
    )
    assert first == second != other
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training


def test_stops_before_the_end_token() -> None:
    model = _model()
    tokens = generate(model, [1, 2, 3], SamplingSpec(), None)
    end = tokens[4]
    assert generate(model, [1, 2, 3], SamplingSpec(), end) == tokens[: tokens.index(end)]
    assert list(stream(model, [1, 2, 3], SamplingSpec(), end)) == tokens[: tokens.index(end)]


def test_refusals() -> None:
    model = _model()
    with pytest.raises(ValueError, match="empty"):
        generate(model, [], SamplingSpec(), None)
    with pytest.raises(ValueError, match="max_sequence_length is 24"):
        generate(model, [0] * 24, SamplingSpec(), None)
    with pytest.raises(ValueError, match="top_p"):
        generate(model, [1], SamplingSpec(top_p=2.0), None)
