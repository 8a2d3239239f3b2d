"""What backward makes anew changes memory, and not a bit of the result."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from bitnet.nn import LinearSpec, ModelShape, PassSpec, StageSpec, Transformer
from bitnet.nn import bit_linear as room
from bitnet.planning.ledger import Ledger
from bitnet.quant import ternary_codes
from bitnet.quant.engines import int8

pytestmark = pytest.mark.usefixtures("fresh_compiler")

SHAPE = ModelShape(dim=64, layers=4, heads=2, ffn_dim=160, vocab_size=40)
LINEARS = {
    "dense": LinearSpec("dense"),
    "reference": LinearSpec(engine="reference"),
    "int8": LinearSpec(engine="int8"),
    "inside": LinearSpec(norm="inside"),
    "stage": LinearSpec("stage", stage=StageSpec(dim=32, heads=2, ffn_dim=64)),
}
POLICIES = ("blocks", "every_2", "every_3", "selective")


def _model(linear: LinearSpec, policy: str, end_token: int | None = None) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(SHAPE, linear)
    model.set_passes(PassSpec(recompute=policy, end_token=end_token))
    return model


def _tokens() -> Tensor:
    return torch.randint(0, 40, (2, 65), generator=torch.Generator().manual_seed(0))


def _gradients(model: Transformer, passes: int = 1) -> list[Tensor]:
    tokens = _tokens()
    for _ in range(passes):
        mean, _ = model.loss(tokens[:, :-1], tokens[:, 1:])
        mean.backward()
    return [mean.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("linear", LINEARS)
def test_loss_and_gradients_to_the_bit(linear: str, policy: str) -> None:
    expected = _gradients(_model(LINEARS[linear], "none"), passes=2)
    got = _gradients(_model(LINEARS[linear], policy), passes=2)
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_documents_stay_apart_in_the_second_run() -> None:
    expected = _gradients(_model(LINEARS["dense"], "none", end_token=3))
    got = _gradients(_model(LINEARS["dense"], "blocks", end_token=3))
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def _live_after_forward(linear: LinearSpec, policy: str) -> int:
    """Bytes that a pass holds for its backward."""
    model, tokens = _model(linear, policy), _tokens()
    model.refresh_codes()
    with Ledger([*model.parameters(), *model.buffers()]) as ledger:
        before = ledger.live[0]
        loss, _ = model.loss(tokens[:, :-1], tokens[:, 1:])
        held = ledger.live[0] - before
    assert loss.requires_grad
    return int(held)


@pytest.mark.parametrize("linear", ["dense", "reference", "int8"])
def test_less_is_held(linear: str) -> None:
    none, blocks, half, selective = (
        _live_after_forward(LINEARS[linear], each)
        for each in ("none", "blocks", "every_2", "selective")
    )
    assert blocks < 0.2 * none
    assert half == pytest.approx((none + blocks) / 2, rel=0.05)
    assert blocks < selective < 0.8 * none


def test_weights_are_quantised_once_for_both_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counting(weight: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(weight.shape)
        return ternary_codes(weight)

    monkeypatch.setitem(room.WEIGHT_CODES, "bitnet", counting)
    _gradients(_model(LinearSpec(engine="int8"), "blocks"), passes=2)
    assert len(calls) == 4 * 7


def _compiled(linear: LinearSpec, policy: str) -> tuple[list[Tensor], int]:
    """Gradients, and bytes kept for backward, of blocks compiled without a break."""
    model, kept = _model(linear, policy), dict[int, Tensor]()
    model.compile_blocks()
    for block in model.blocks:
        block._compiled_call_impl = torch.compile(
            block._call_impl, fullgraph=True, backend="aot_eager"
        )

    def save(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    tokens = _tokens()
    with saved_tensors_hooks(save, lambda tensor: tensor):
        mean, _ = model.loss(tokens[:, :-1], tokens[:, 1:])
    own = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())}
    size = sum(x.untyped_storage().nbytes() for key, x in kept.items() if key not in own)
    mean.backward()
    return [mean.detach(), *(p.grad for p in model.parameters() if p.grad is not None)], size


@pytest.mark.parametrize("linear", ["dense", "int8"])
def test_compiled_blocks(linear: str) -> None:
    expected, everything = _compiled(LINEARS[linear], "none")
    for policy, most in (("blocks", 0.2), ("selective", 0.99)):
        got, kept = _compiled(LINEARS[linear], policy)
        assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))
        assert kept < most * everything


def test_nothing_is_made_anew_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pass without backward has nothing to make anew")

    monkeypatch.setattr("bitnet.nn.recompute.checkpoint", refuse)
    model = _model(LINEARS["dense"], "blocks")
    with torch.no_grad():
        model(_tokens())
    with pytest.raises(AssertionError, match="nothing to make anew"):
        model(_tokens())


@pytest.mark.parametrize("policy", ["all", "every_0", "every_", "every_x", "Blocks"])
def test_unknown_policies_are_refused(policy: str) -> None:
    with pytest.raises(ValueError, match=rf"recompute: '{policy}' is unknown \(valid: none, bl"):
        _model(LINEARS["dense"], policy)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_inputs_made_anew_are_those_of_forward(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rounding that the fused loops of one direction left out would move some codes."""
    model = Transformer(SHAPE, LINEARS["int8"], dtype)
    model.compile_blocks()
    anew = [each.clone() for each in _gradients(model)]
    model.zero_grad()
    torch._dynamo.reset()
    monkeypatch.setattr(int8, "_only_now", lambda codes, zero: codes)
    kept = _gradients(model)
    assert len(kept) > 28 and all(map(torch.equal, anew, kept))
