"""Muon on the hidden matrices and AdamW on everything else, as one optimizer.

It is one object because Lightning counts the steps of each optimizer: two would count every step
twice, and schedules, cadences and checkpoints with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import torch

from bitnet.nn import Transformer
from bitnet.training.optimizers.base import Group, Optimizer, betas_problems, parameter_groups

ADJUSTMENTS = ("match_rms_adamw", "original")


@dataclass
class Muon(Optimizer):
    """Muon (orthogonalised momentum) for the matrices inside the blocks, AdamW for the rest.

    Embeddings, head, norms and biases are AdamW's. Decay is bound to the rate, for both.

    Sources: K. Jordan, "Muon: An optimizer for hidden layers in neural networks" (2024);
    "Muon is Scalable for LLM Training", arXiv 2502.16982.

    Attributes:
        momentum: of the matrices' gradients, in Nesterov's form.
        iterations: of the Newton-Schulz orthogonalisation.
        adjust: how the rate of an ``[A, B]`` matrix follows its shape. ``match_rms_adamw``
            (times ``0.2 sqrt(max(A, B))``) makes updates as large as AdamW's, so that one schedule
            serves both; ``original`` (times ``sqrt(max(1, A / B))``) wants a rate of its own, which
            then holds for AdamW's part too.
        betas: of AdamW.
        eps: of AdamW.
    """

    momentum: float = 0.95
    iterations: int = 5
    adjust: str = "match_rms_adamw"
    betas: list[float] = field(default_factory=lambda: [0.9, 0.95])
    eps: float = 1e-8

    def build(
        self, net: Transformer, lr: float, weight_decay: float, peak: float
    ) -> torch.optim.Optimizer:
        """Muon's groups first, then AdamW's."""
        matrices = {id(weight) for weight in net.hidden_matrices().values()}
        groups = parameter_groups(net, lr, weight_decay)
        hidden, others = _only(groups, matrices, True), _only(groups, matrices, False)
        first, second = self.betas
        muon = torch.optim.Muon(
            hidden, momentum=self.momentum, ns_steps=self.iterations, adjust_lr_fn=self.adjust
        )
        adamw = torch.optim.AdamW(others, betas=(first, second), eps=self.eps, fused=True)
        return Combined(muon, adamw)

    def problems(self) -> list[str]:
        """Also: momentum, iterations, adjustment and betas."""
        found = super().problems() + betas_problems(self.betas)
        if not 0 <= self.momentum < 1:
            found.append(f"momentum: {self.momentum} must lie in [0, 1)")
        if not 1 <= self.iterations < 100:
            found.append(f"iterations: {self.iterations} must be 1 to 99")
        if self.adjust not in ADJUSTMENTS:
            near = get_close_matches(self.adjust, ADJUSTMENTS, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            valid = ", ".join(ADJUSTMENTS)
            found.append(f"adjust: '{self.adjust}' is unknown{hint} (valid: {valid})")
        return found


class Combined(torch.optim.Optimizer):
    """Several optimizers over different parameters that step, save and load as one.

    Groups and state are the parts' own objects, so a change through this face reaches them.

    Args:
        parts: the optimizers; no parameter may be in two of them.
    """

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self._parts = parts
        self._sizes = [len(part.param_groups) for part in parts]
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of each part; ``closure`` recomputes the loss, which is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_parts": self._parts, "_sizes": self._sizes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # loading replaces groups and state by new objects
        self._share()

    def _share(self) -> None:
        """Give the parts this optimizer's groups and state."""
        start = 0
        for part, size in zip(self._parts, self._sizes, strict=True):
            groups = self.param_groups[start : start + size]
            part.__setstate__({"state": self.state, "param_groups": groups})
            start += size


def _only(groups: list[Group], chosen: set[int], inside: bool) -> list[Group]:
    """The groups without the parameters that are not wanted, and without groups left empty."""
    kept = [
        {**group, "params": [p for p in group["params"] if (id(p) in chosen) is inside]}
        for group in groups
    ]
    return [group for group in kept if group["params"]]
