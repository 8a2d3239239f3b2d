"""Peers of `bitnet bench train`: each is really in our shell, and none takes our place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import bitnet
from benchmarks.train.naive import Naive
from benchmarks.train.peers import ABSENT, Onebitllms, PypiBitnet, Torchao, Transformers
from benchmarks.train.shapes import SHAPES
from benchmarks.train.swapped import PeerLinear, Swapped
from benchmarks.train.task import Task
from bitnet.nn import LinearSpec, Transformer

TINY = SHAPES["tiny"]


def gradients(model: Transformer, task: Task) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(task.shape.vocab, (2, task.shape.length + 1), generator=generator)
    model.loss(tokens[:, :-1], tokens[:, 1:])[0].backward()
    found = [each.grad for each in model.parameters()]
    assert all(grad is not None for grad in found)
    return torch.cat([grad.float().flatten() for grad in found if grad is not None])


@pytest.mark.parametrize("peer", [Naive(), Transformers(), Torchao()], ids=lambda peer: peer.name)
def test_a_peer_in_our_shell_trains_a_bitnet(
    peer: Swapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In fp32 its gradients are those of our reference, and not those of the dense twin."""
    task = Task(peer.name)
    assert peer.why_not(task) is None
    peer.load(task)
    monkeypatch.setattr(peer, "compute", torch.float32)
    models = []
    builds: tuple[Callable[[], Transformer], ...] = (
        lambda: peer.build(task),
        lambda: Transformer(TINY.model(), LinearSpec("bitnet", "reference")),
        lambda: Transformer(TINY.model(), LinearSpec("dense")),
    )
    for build in builds:
        torch.manual_seed(0)
        models.append(build())
    assert sum(isinstance(m, PeerLinear) for m in models[0].modules()) == 7 * TINY.layers
    with torch.compiler.set_stance("force_eager"):  # one of them compiles parts of itself
        own, reference, dense = (gradients(model, task) for model in models)
    assert (own - reference).norm() < 0.01 * reference.norm()
    assert (own - dense).norm() > 0.1 * dense.norm()


PEER = """
import torch.nn.functional as F
from torch import nn
from zeta.nn.modules.simple_rmsnorm import SimpleRMSNorm

class BitLinear(nn.Linear):
    def forward(self, x):
        return F.linear(SimpleRMSNorm(self.in_features)(x), self.weight.sign())
"""
NORM = """
from torch import nn

class SimpleRMSNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()

    def forward(self, x):
        return x
"""


def test_a_peer_of_our_own_name_is_loaded_beside_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"bitnet/bitlinear.py": PEER, "zeta/nn/modules/simple_rmsnorm.py": NORM}
    for name in ("bitnet", "zeta", "zeta/nn", "zeta/nn/modules"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('never run')")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    for name in [name for name in sys.modules if name.split(".")[0] == "zeta"]:
        monkeypatch.delitem(sys.modules, name)
    peer, task = PypiBitnet(), Task("pypi bitnet", peers=str(tmp_path))
    assert peer.why_not(task) is None and peer.why_not(replace(task, peers="nowhere")) == ABSENT
    peer.load(task)
    inner = peer.build(task).blocks[0].ffn.up.inner  # type: ignore[union-attr]
    assert type(inner).__module__ == "bench_peer_bitnet"
    assert sys.modules["bitnet"] is bitnet and str(tmp_path) not in sys.path
    for name in [name for name in sys.modules if name.split(".")[0] == "zeta"]:
        monkeypatch.delitem(sys.modules, name)


def test_a_peer_for_cuda_says_so_on_a_cpu() -> None:
    assert Onebitllms().why_not(Task("onebitllms")) == "runs on CUDA only"
