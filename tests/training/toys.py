"""A model of four parameters with the face that optimizers ask for, and its gradients."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn


class Toy(nn.Module):
    """An embedding, two hidden matrices of which one is scaled, and a gain; in fp64."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(3, 4)
        self.first, self.second = nn.Linear(4, 6, bias=False), nn.Linear(6, 4, bias=False)
        self.gain = nn.Parameter(torch.ones(4))
        self.scale = scale
        self.double()

    def learning_rate_scales(self) -> dict[str, float]:
        return {
            name: self.scale if name == "second.weight" else 1.0
            for name, _ in self.named_parameters()
        }

    def hidden_matrices(self) -> dict[str, nn.Parameter]:
        return {"first.weight": self.first.weight, "second.weight": self.second.weight}

    def pull(self, step: int) -> None:
        """Give every parameter the gradient that belongs to ``step``."""
        draw = torch.Generator().manual_seed(step)
        for parameter in self.parameters():
            noise = torch.randn(parameter.shape, generator=draw, dtype=torch.float64)
            parameter.grad = noise + 0.3 * parameter.detach()


def scalars(module: nn.Module) -> Iterator[tuple[str, int, float]]:
    """Every number of a module: name of the parameter, index, value."""
    for name, parameter in module.named_parameters():
        for index, value in enumerate(parameter.detach().flatten().tolist()):
            yield name, index, value
