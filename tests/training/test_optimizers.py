"""What decays and what does not."""

import torch
from torch import nn

from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.training.optimizers import AdamW, parameter_groups


def tiny(tie: bool) -> Transformer:
    shape = ModelShape(dim=32, layers=1, heads=2, ffn_dim=64, vocab_size=64, tie_embeddings=tie)
    return Transformer(shape, LinearSpec())


def test_norms_and_embeddings_never_decay() -> None:
    for tie in (True, False):
        net = tiny(tie)
        decayed, kept = parameter_groups(net, 0.1)
        names = {id(p): name for name, p in net.named_parameters()}
        assert all("norm" not in names[id(p)] for p in decayed["params"])
        assert all("embedding" not in names[id(p)] for p in decayed["params"])
        assert any("embedding" in names[id(p)] for p in kept["params"])
        assert len(decayed["params"]) + len(kept["params"]) == len(list(net.parameters()))
        assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)


def test_frozen_parameters_are_left_out() -> None:
    layer = nn.Linear(4, 4)
    layer.weight.requires_grad_(False)
    decayed, kept = parameter_groups(layer, 0.1)
    assert not decayed["params"] and len(kept["params"]) == 1


def test_a_step_is_adamw_by_the_formula() -> None:
    layer = nn.Linear(2, 1, bias=False)
    before = layer.weight.detach().clone()
    optimizer = AdamW(betas=[0.9, 0.95], eps=1e-8).build(layer, lr=0.1, weight_decay=0.5)
    layer.weight.grad = torch.tensor([[1.0, -2.0]])
    optimizer.step()
    # After one step the bias-corrected moments are the gradient and its square.
    expected = before * (1 - 0.1 * 0.5) - 0.1 * torch.tensor([[1.0, -1.0]])
    torch.testing.assert_close(layer.weight.detach(), expected)


def test_senseless_values_are_named() -> None:
    assert AdamW(betas=[0.9]).problems() and AdamW(betas=[0.9, 1.0]).problems()
    assert AdamW(clip_norm=-1).problems() and not AdamW().problems()
