"""Ternary codes are never stale, however a weight came to change."""

import copy
import io
import pickle
from collections.abc import Callable

import pytest
import torch

from bitnet.nn import BitLinear, LinearSpec, ModelShape, Transformer
from bitnet.nn import bit_linear as room
from bitnet.quant import held_codes, ternary_codes

pytestmark = pytest.mark.usefixtures("fresh_compiler")

SHAPE = ModelShape(dim=32, layers=1, heads=2, ffn_dim=48, vocab_size=20)


def _assert_current(layer: BitLinear) -> None:
    codes, scale = ternary_codes(layer.weight.detach())
    got_codes, got_scale = layer.current()
    assert torch.equal(got_codes, held_codes(codes))
    torch.testing.assert_close(got_scale, scale)


def _step(layer: BitLinear, make: Callable[..., torch.optim.Optimizer], **options: bool) -> None:
    optimizer = make(layer.parameters(), lr=0.5, **options)
    layer(torch.randn(2, layer.weight.shape[1])).sum().backward()
    optimizer.step()


@torch.no_grad()
def _in_place(layer: BitLinear) -> None:
    layer.weight.mul_(-1).add_(0.01)


def _replaced(layer: BitLinear) -> None:
    layer.weight = torch.nn.Parameter(torch.randn_like(layer.weight))


def _pointed_elsewhere(layer: BitLinear) -> None:
    layer.weight.data = torch.randn_like(layer.weight)


def _loaded(layer: BitLinear) -> None:
    layer.load_state_dict({"weight": torch.randn_like(layer.weight)})


def _loaded_by_assignment(layer: BitLinear) -> None:
    layer.load_state_dict({"weight": torch.randn_like(layer.weight)}, assign=True)


def _behind_the_counter_then_evaluated(layer: BitLinear) -> None:
    layer.weight.data.copy_(torch.randn_like(layer.weight))
    layer.eval()


def _behind_the_counter_then_invalidated(layer: BitLinear) -> None:
    layer.weight.data.copy_(torch.randn_like(layer.weight))
    layer.invalidate()


CHANGES = {
    "fused": lambda m: _step(m, torch.optim.AdamW, fused=True),
    "foreach": lambda m: _step(m, torch.optim.AdamW, foreach=True),
    "loop": lambda m: _step(m, torch.optim.AdamW, foreach=False),
    "sgd": lambda m: _step(m, torch.optim.SGD, fused=True),
    "in place": _in_place,
    "replaced": _replaced,
    "pointed elsewhere": _pointed_elsewhere,
    "loaded": _loaded,
    "loaded by assignment": _loaded_by_assignment,
    "half": lambda m: m.to(torch.bfloat16),
    "through .data, then eval": _behind_the_counter_then_evaluated,
    "through .data, then invalidate": _behind_the_counter_then_invalidated,
}


@pytest.mark.parametrize("change", CHANGES)
def test_codes_follow_the_weight(change: str) -> None:
    torch.manual_seed(0)
    layer = BitLinear(16, 8)
    for _ in range(2):
        _assert_current(layer)
        before = layer.codes.clone()
        CHANGES[change](layer)
        _assert_current(layer)
        assert change in ("half",) or not torch.equal(before, layer.codes)
    assert layer.scale.dtype == torch.float32


def test_quantised_once_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counting(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(weight.shape)
        return ternary_codes(weight)

    monkeypatch.setitem(room.WEIGHT_CODES, "bitnet", counting)
    model = Transformer(SHAPE, LinearSpec())
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    tokens = torch.randint(0, 20, (2, 9))
    for _ in range(2):
        for _ in range(3):
            model.nll(tokens[:, :-1], tokens[:, 1:]).mean().backward()
        optimizer.step()
    assert len(calls) == 2 * 7


def test_codes_of_a_trained_weight_stay_where_they_are() -> None:
    layer = BitLinear(16, 8)
    layer.refresh()
    places = {layer.codes.data_ptr(), layer.scale.data_ptr()}
    for _ in range(3):
        _step(layer, torch.optim.SGD)
        _assert_current(layer)
        assert {layer.codes.data_ptr(), layer.scale.data_ptr()} == places


def test_a_backward_that_came_too_late_is_refused() -> None:
    """Its codes are gone, as a full-precision weight would be."""
    layer = BitLinear(16, 8, engine="int8")
    late = layer(torch.randn(2, 16)).sum()
    _step(layer, torch.optim.SGD)
    layer.refresh()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        late.backward()


def test_an_evaluation_between_forward_and_backward_does_no_harm() -> None:
    layer = BitLinear(16, 8, engine="int8")
    waiting = layer(torch.randn(2, 16)).sum()
    layer.eval()
    layer(torch.randn(2, 16))
    layer.train()
    waiting.backward()
    assert layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0


def test_copies_and_pickles_are_independent() -> None:
    model = Transformer(SHAPE, LinearSpec())
    tokens = torch.randint(0, 20, (1, 8))
    logits = model(tokens)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(tokens), logits)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(torch.randn_like(parameter))
        assert not torch.allclose(other(tokens), logits)
        assert torch.equal(model(tokens), logits)


def test_checkpoints_hold_masters_only() -> None:
    model = Transformer(SHAPE, LinearSpec())
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    assert not [name for name in state if "codes" in name or "scale" in name]
    other = Transformer(SHAPE, LinearSpec())
    other(torch.zeros(1, 4, dtype=torch.long))
    other.load_state_dict(state)
    tokens = torch.randint(0, 20, (1, 8))
    assert torch.equal(other(tokens), model(tokens))


def test_training_goes_on_after_inference_mode() -> None:
    model = Transformer(SHAPE, LinearSpec())
    tokens = torch.randint(0, 20, (1, 8))
    with torch.inference_mode():
        model(tokens)
    model(tokens).sum().backward()
    assert model.blocks[0].attention.q.weight.grad is not None


def test_meta_model_becomes_real() -> None:
    with torch.device("meta"):
        model = Transformer(SHAPE, LinearSpec())
    model.to_empty(device="cpu")
    source = Transformer(SHAPE, LinearSpec())
    model.load_state_dict(source.state_dict())
    tokens = torch.randint(0, 20, (1, 8))
    assert torch.equal(model(tokens), source(tokens))


def test_a_layer_compiled_alone_quantises_in_the_graph() -> None:
    layer = BitLinear(16, 8)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    x = torch.randn(4, 16)
    for _ in range(2):
        torch.testing.assert_close(compiled(x), layer(x))
        with torch.no_grad():
            layer.weight.copy_(torch.randn_like(layer.weight))


def test_every_optimizer_is_counted() -> None:
    before = room._OptimizerSteps.taken
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    torch.optim.SGD([weight]).step()
    assert room._OptimizerSteps.taken == before + 1
