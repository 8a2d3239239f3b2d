"""muP's coordinate check: what passes through the model keeps its size as the model widens."""

import math

import pytest
import torch

from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.nn.mup import logit_multiplier

WIDTHS = (64, 128, 256)


def shape(width: int, mup: bool) -> ModelShape:
    options = {"mup_base_dim": 64, "init": "mup", "init_std": 0.08, "embedding_scale": 10.0}
    return ModelShape(
        dim=width,
        layers=2,
        heads=width // 32,
        ffn_dim=4 * width,
        vocab_size=97,
        position="learned",
        norm="layer",
        bias=True,
        gated=False,
        activation="gelu",
        sub_norm=False,
        **(options if mup else {"init": "normal", "init_std": 0.02}),
    )


def sizes_after_steps(width: int, mup: bool, seed: int, steps: int = 4) -> dict[str, float]:
    """Mean size of how far hidden states and logits moved in some steps of Adam at one rate."""
    torch.manual_seed(seed)
    model = Transformer(shape(width, mup), LinearSpec("dense"))
    scales, rate = model.learning_rate_scales(), 3e-3
    groups = [{"params": [p], "lr": rate * scales[n]} for n, p in model.named_parameters()]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=0.0)
    tokens = torch.randint(0, 97, (8, 33), generator=torch.Generator().manual_seed(seed))
    seen: dict[str, torch.Tensor] = {}
    for name, module in (("block", model.blocks[-1]), ("attention", model.blocks[1].attention)):
        module.register_forward_hook(lambda m, i, o, name=name: seen.update({name: o.detach()}))
    start: dict[str, torch.Tensor] = {}
    for step in range(steps + 1):
        seen["logits"] = model(tokens[:, :-1]).detach()
        start = start or dict(seen)
        if step < steps:
            optimizer.zero_grad()
            model.nll(tokens[:, :-1], tokens[:, 1:]).mean().backward()
            optimizer.step()
    return {name: float((seen[name] - start[name]).abs().mean()) for name in seen}


def slope(mup: bool, name: str) -> float:
    """Power of the width with which a size grows, over three seeds."""
    logs = [
        sum(math.log(sizes_after_steps(w, mup, seed)[name]) for seed in range(3)) / 3
        for w in WIDTHS
    ]
    return (logs[-1] - logs[0]) / math.log(WIDTHS[-1] / WIDTHS[0])


@pytest.mark.parametrize(("name", "bound"), [("block", 0.2), ("attention", 0.2), ("logits", 0.3)])
def test_coordinates_are_flat_over_widths(name: str, bound: float) -> None:
    """Of the logits, a part that falls with the width is still to be seen at these widths."""
    assert abs(slope(True, name)) < bound


def test_without_mup_they_are_not() -> None:
    assert slope(False, "logits") > 0.6 and slope(False, "block") > 0.8


def test_multipliers() -> None:
    model = Transformer(shape(128, True), LinearSpec("dense"))
    scales = model.learning_rate_scales()
    assert scales["blocks.0.attention.q.weight"] == scales["blocks.1.ffn.down.weight"] == 0.5
    assert scales["embedding.weight"] == scales["blocks.0.attention.q.bias"] == 1.0
    assert scales["positions.weight"] == scales["head.norm.weight"] == 1.0
    assert logit_multiplier(model.shape) == 0.5
    assert model.blocks[0].attention.scale == 1 / 32
    assert set(Transformer(shape(64, False), LinearSpec()).learning_rate_scales().values()) == {1.0}
    assert model.blocks[0].attention.q.weight.std().item() == pytest.approx(
        0.08 * 0.5**0.5, rel=0.03
    )
    assert model.embedding.weight.std().item() == pytest.approx(0.08, rel=0.03)
