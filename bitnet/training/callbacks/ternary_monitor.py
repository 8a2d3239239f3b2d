"""What the ternary weights do: shares of -1, 0 and +1, scale, and how many flip between looks.

These numbers exist only for ternary training and tell early whether it works: shares that drift to
all zeros, a scale that grows without bound, or flips that never settle. A value a layer goes to
``ternary.csv``; their weighted means go to the metrics row.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lightning import Trainer
from torch import Tensor

from bitnet.nn.observe import TernaryLook, look_at
from bitnet.runs import MetricsFile
from bitnet.training.module import PretrainingModule
from bitnet.training.step_callback import StepCallback


class TernaryMonitor(StepCallback):
    """Looks at every ternary layer at a cadence (rank 0; at a sharded model's all ranks do).

    Args:
        file: ``ternary.csv``.
        every_tokens: the cadence of looks.
    """

    def __init__(self, file: MetricsFile, every_tokens: int) -> None:
        self.file = file
        self.every_tokens = every_tokens
        self._last: dict[str, Tensor] = {}

    def run_starts(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Cut off what lies beyond the checkpoint; at the very start, take the first look."""
        fresh = trainer.global_step == 0
        if trainer.is_global_zero:
            self.file.truncate_after(-1 if fresh else trainer.global_step)
        if fresh:
            self._look(0, module)

    def after_step(self, trainer: Trainer, module: PretrainingModule) -> None:
        """Look, if it is time."""
        due = module.plan.due(trainer.global_step, self.every_tokens)
        if due:
            with module.pause():
                summary = self._look(trainer.global_step, module)
            module.row |= {f"ternary/{key}": value for key, value in summary.items()}

    def _look(self, step: int, module: PretrainingModule) -> dict[str, float]:
        """Measure all layers; the means over all ternary weights."""
        zeros = flips = weights = 0.0
        for name, layer in module.net.ternary_layers().items():
            look = look_at(layer, self._last.get(name))
            self._last[name] = look.packed
            self._write(name, step, look, module)
            count = layer.weight.numel()
            zeros, weights = zeros + look.zero * count, weights + count
            flips += (look.flip_rate or 0.0) * count
        return {"zero_share": zeros / weights, "flip_rate": flips / weights} if weights else {}

    def _write(self, name: str, step: int, look: TernaryLook, module: PretrainingModule) -> None:
        if module.global_rank != 0:
            return
        stats = asdict(look)
        del stats["packed"]
        tokens = module.plan.tokens_at(step)
        self.file.append({"step": step, "tokens": tokens, "layer": name, **stats})
        known = {key: value for key, value in stats.items() if value is not None}
        module.details |= {f"ternary/{name}/{key}": value for key, value in known.items()}

    def state_dict(self) -> dict[str, Any]:
        """The codes of the last look, 2 bits a weight, so that flips are exact over a resume."""
        return {"codes": self._last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Compare with those next time."""
        self._last = dict(state_dict["codes"])
