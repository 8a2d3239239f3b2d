"""Optimizers step by step against their formulas, written out for one number at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import sqrt
from typing import Any

import pytest
import torch

from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.training.optimizers import (
    AdamW,
    DecoupledAdamW,
    DecoupledLion,
    Optimizer,
    parameter_groups,
    scales_of,
    set_rates,
)
from tests.training.toys import Toy, scalars

PEAK, DECAY, SCALE, STEPS = 3e-2, 0.02, 0.25, 6
RATES = [PEAK * share for share in (0.1, 0.5, 1.0, 0.8, 0.3, 0.1)]
Update = Callable[[float, float, dict[str, float], int, float, float], float]


def transformer(**shape: Any) -> Transformer:
    sizes = {"dim": 32, "layers": 1, "heads": 2, "ffn_dim": 64, "vocab_size": 64}
    return Transformer(ModelShape(**sizes | shape), LinearSpec())


@pytest.mark.parametrize("shape", [{}, {"tie_embeddings": False}])
def test_norms_and_embeddings_never_decay(shape: dict[str, Any]) -> None:
    net = transformer(**shape)
    decayed, kept = parameter_groups(net, 1e-3, 0.1)
    names = {id(p): name for name, p in net.named_parameters()}
    assert all("norm" not in names[id(p)] for p in decayed["params"])
    assert all("embedding" not in names[id(p)] for p in decayed["params"])
    assert any("embedding" in names[id(p)] for p in kept["params"])
    assert len(decayed["params"]) + len(kept["params"]) == len(list(net.parameters()))
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    assert {decayed["lr"], kept["lr"]} == {1e-3}


def test_learned_positions_and_biases_do_not_decay_either() -> None:
    net = transformer(position="learned", norm="layer", bias=True)
    decayed, kept = parameter_groups(net, 1e-3, 0.1)
    names = {id(p): name for name, p in net.named_parameters()}
    still = {names[id(p)] for p in kept["params"]}
    assert "positions.weight" in still and "blocks.0.attention.q.bias" in still
    assert all(p.ndim == 2 for p in decayed["params"])


def test_frozen_parameters_are_left_out() -> None:
    net = Toy()
    net.first.weight.requires_grad_(False)
    found = [p for group in parameter_groups(net, 1e-3, 0.1) for p in group["params"]]
    assert len(found) == 3 and all(p is not net.first.weight for p in found)


def test_the_models_own_scales_of_the_rate_are_honoured() -> None:
    net = Toy(SCALE)
    groups = parameter_groups(net, 1e-2, 0.1)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    for name, parameter in net.named_parameters():
        assert rates[id(parameter)] == (1e-2 * SCALE if name == "second.weight" else 1e-2)
    set_rates(groups, scales_of(groups), 4e-2, 0.2)
    assert sorted((group["lr"], group["weight_decay"]) for group in groups) == [
        (4e-2 * SCALE, 0.2),
        (4e-2, 0.0),
        (4e-2, 0.2),
    ]


def adam(w: float, g: float, state: dict[str, float], step: int, lr: float, shrink: float) -> float:
    state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * g
    state["v"] = 0.95 * state.get("v", 0.0) + 0.05 * g * g
    m, v = state["m"] / (1 - 0.9**step), state["v"] / (1 - 0.95**step)
    return w * (1 - shrink) - lr * m / (sqrt(v) + 1e-8)


def lion(w: float, g: float, state: dict[str, float], step: int, lr: float, shrink: float) -> float:
    before = state.get("m", 0.0)
    mixed = 0.9 * before + 0.1 * g
    state["m"] = 0.99 * before + 0.01 * g
    return w * (1 - shrink) - lr * ((mixed > 0) - (mixed < 0))


@pytest.mark.parametrize(
    ("spec", "update", "decoupled"),
    [(AdamW(), adam, False), (DecoupledAdamW(), adam, True), (DecoupledLion(), lion, True)],
    ids=["adamw", "decoupled_adamw", "decoupled_lion"],
)
def test_steps_are_those_of_the_formula(spec: Optimizer, update: Update, decoupled: bool) -> None:
    """Decay takes ``lr * decay`` of a matrix, or decoupled ``decay * lr / peak``."""
    net = Toy(SCALE)
    optimizer = spec.build(net, RATES[0], DECAY, PEAK)
    scales = scales_of(optimizer.param_groups)
    expected = {(name, index): value for name, index, value in scalars(net)}
    states: dict[tuple[str, int], dict[str, float]] = {key: {} for key in expected}
    for step, rate in enumerate(RATES, 1):
        net.pull(step)
        set_rates(optimizer.param_groups, scales, rate, DECAY)
        for name, parameter in net.named_parameters():
            lr = rate * SCALE if name == "second.weight" else rate
            shrink = DECAY * rate / PEAK if decoupled else DECAY * lr
            shrink = shrink if name in ("first.weight", "second.weight") else 0.0
            assert parameter.grad is not None
            for index, grad in enumerate(parameter.grad.flatten().tolist()):
                key = (name, index)
                expected[key] = update(expected[key], grad, states[key], step, lr, shrink)
        optimizer.step()
        for name, index, value in scalars(net):
            assert value == pytest.approx(expected[name, index], rel=1e-11, abs=1e-14)


def test_a_decay_that_would_erase_the_weights_is_said_aloud(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        AdamW().build(Toy(), 1e-3, 0.1, 1e-3)
        DecoupledLion().build(Toy(), 1e-3, 1e-5, 1e-3)
        assert not caplog.records
        DecoupledAdamW().build(Toy(), 1e-3, 0.1, 1e-3)
    assert "10 % of every weight" in caplog.text


@pytest.mark.parametrize("spec", [AdamW(), DecoupledAdamW(), DecoupledLion()])
def test_state_survives_a_checkpoint_to_the_bit(spec: Optimizer, tmp_path: Any) -> None:
    nets = Toy(SCALE), Toy(SCALE)
    built = [spec.build(net, PEAK, DECAY, PEAK) for net in nets]
    for step in range(2 * STEPS):
        for net, optimizer in zip(nets, built, strict=True):
            net.pull(step)
            optimizer.step()
        if step == STEPS:
            torch.save(built[1].state_dict(), tmp_path / "state.pt")
            built[1] = spec.build(nets[1], PEAK, DECAY, PEAK)
            built[1].load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert list(scalars(nets[0])) == list(scalars(nets[1]))


@pytest.mark.parametrize("kind", [AdamW, DecoupledAdamW, DecoupledLion])
def test_senseless_values_are_named(kind: type[AdamW]) -> None:
    assert kind(betas=[0.9]).problems() and kind(betas=[0.9, 1.0]).problems()
    assert kind(clip_norm=-1).problems() and not kind().problems()
