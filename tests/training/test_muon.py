"""Muon and AdamW as one optimizer: who gets what, and that it saves, loads and counts as one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.training.optimizers import AdamW, Combined, Muon, scales_of, set_rates
from tests.training.toys import Toy, scalars

RATE, DECAY = 2e-2, 0.1


def combined(net: Toy, spec: Muon | None = None) -> Combined:
    built = (spec or Muon()).build(net, RATE, DECAY, RATE)
    assert isinstance(built, Combined)
    return built


def test_hidden_matrices_are_muons_and_the_rest_adamws() -> None:
    shape = ModelShape(dim=32, layers=2, heads=2, ffn_dim=64, vocab_size=64, tie_embeddings=False)
    net = Transformer(shape, LinearSpec())
    optimizer = Muon().build(net, RATE, DECAY, RATE)
    names = {id(p): name for name, p in net.named_parameters()}
    muons, heads, others = ([names[id(p)] for p in g["params"]] for g in optimizer.param_groups)
    assert sorted(muons) == sorted(net.hidden_matrices()) and len(muons) == 2 * 7
    assert heads == ["head.weight"]
    assert "embedding.weight" in others and "head.norm.weight" in others
    assert len(muons) + len(heads) + len(others) == len(names)
    decays = [group["weight_decay"] for group in optimizer.param_groups]
    assert decays == [DECAY, DECAY, 0.0]


def test_an_update_is_a_rotation_as_large_as_adamws() -> None:
    """``0.2 sqrt(max(A, B))`` times a near-orthogonal matrix: about 0.2 a number, as AdamW's."""
    net = Toy()
    before = net.first.weight.detach().clone()
    optimizer = combined(net)
    net.pull(1)
    optimizer.step()
    update = (before * (1 - RATE * DECAY) - net.first.weight.detach()) / RATE
    singular = torch.linalg.svdvals(update) / (0.2 * 6**0.5)
    assert singular.min() > 0.6 and singular.max() < 1.3  # five iterations come this near
    other = Toy()
    other.pull(1)
    AdamW().build(other, RATE, DECAY, RATE).step()
    for name in ("embedding.weight", "gain"):
        assert torch.equal(net.get_parameter(name), other.get_parameter(name))


def test_rates_and_scales_reach_both_parts() -> None:
    plain, scaled = Toy(), Toy(0.5)
    for net in (plain, scaled):
        net.pull(1)
    start = plain.second.weight.detach().clone()
    halves = combined(scaled)
    combined(plain).step()
    halves.step()
    full, half = (start - net.second.weight.detach() for net in (plain, scaled))
    torch.testing.assert_close(half, full / 2)
    set_rates(halves.param_groups, scales_of(halves.param_groups), 0.0, 0.0)
    still = list(scalars(scaled))
    scaled.pull(2)
    halves.step()
    assert list(scalars(scaled)) == still


def test_killed_and_loaded_it_goes_on_to_the_bit(tmp_path: Path) -> None:
    nets = Toy(0.5), Toy(0.5)
    built = [combined(net) for net in nets]
    for step in range(10):
        for net, optimizer in zip(nets, built, strict=True):
            net.pull(step)
            optimizer.step()
        if step == 4:
            torch.save(built[1].state_dict(), tmp_path / "state.pt")
            built[1] = combined(nets[1])
            built[1].load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        rate = RATE / (step + 1)
        for optimizer in built:
            set_rates(optimizer.param_groups, scales_of(optimizer.param_groups), rate, DECAY)
    assert list(scalars(nets[0])) == list(scalars(nets[1]))


def test_hooks_on_all_optimizers_see_its_steps() -> None:
    """Ternary layers make their codes anew after a step; they learn of it by such a hook."""
    seen: list[type] = []
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: seen.append(type(optimizer)))
    net = Toy()
    net.pull(1)
    combined(net).step()
    handle.remove()
    assert Combined in seen


def test_a_closure_gives_the_loss_back() -> None:
    net = Toy()
    optimizer = combined(net)

    def loss() -> torch.Tensor:
        net.pull(1)
        return (net.gain**2).sum()

    assert optimizer.step(loss).item() == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (Muon(momentum=1.0), "momentum"),
        (Muon(iterations=0), "iterations"),
        (Muon(adjust="orginal"), "adjust: 'orginal' is unknown; did you mean 'original'?"),
        (Muon(betas=[0.9]), "betas"),
    ],
)
def test_senseless_values_are_named(spec: Muon, word: str) -> None:
    assert any(line.startswith(word) for line in spec.problems())
    assert not Muon().problems()
