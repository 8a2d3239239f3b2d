"""The quantised linear layer: an fp32 master weight and its ternary codes, made once a step.

Quantising a weight reads it twice; a model does it once per change of the weight, not once per
micro-batch. The codes are kept in buffers that no checkpoint holds. They are made anew when the
weight's version counter or storage changed, after every optimizer step (fused optimizers leave the
counter alone, so a hook on all optimizers counts their steps), when the layer moved, and at every
call of ``train()`` or ``eval()`` (averaging tools write through ``.data``, unseen by any
counter).

Inside a compiled region nothing can look at version counters. A layer whose owner promises to call
:meth:`BitLinear.refresh` before each pass (``refreshed_by_owner``) uses its codes there; any other
compiled layer quantises its weight within the graph, slower and never stale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from bitnet.nn.linear import DenseLinear
from bitnet.nn.reading import Reading
from bitnet.quant import (
    WEIGHT_CODES,
    BlendedEngine,
    Engine,
    Quantizer,
    held_codes,
    packed_width,
    select_engine,
)


class _OptimizerSteps:
    """Counts the steps of all optimizers in this process."""

    taken = 0

    def __call__(self, *_: Any) -> None:
        _OptimizerSteps.taken += 1


register_optimizer_step_post_hook(_OptimizerSteps())


class _Seen(NamedTuple):
    """What a weight was like when its codes were made."""

    # The alias keeps the storage alive, so its address cannot come back for another one.
    alias: Tensor
    version: int
    steps: int

    def still(self, weight: Tensor) -> bool:
        same_storage = self.alias.data_ptr() == weight.data_ptr()
        unwritten = self.version == weight._version and self.steps == _OptimizerSteps.taken
        return same_storage and unwritten


def _laid_over(old: Tensor, new: Tensor) -> Tensor:
    """The new values in the old memory, if they fit there.

    Codes that lay somewhere else after every step would be strewn among a process's activations,
    and a heap in pieces takes more memory than what is in it.
    """
    like = (old.shape, old.dtype, old.device) == (new.shape, new.dtype, new.device)
    return new if old.is_inference() or not like else old.copy_(new)


class BitLinear(DenseLinear):
    """``int8(norm(x)) @ quantised(W).T + b`` with straight-through gradients.

    Attributes:
        weight: latent fp32 weight ``[out, in]``.
        codes: of the weight as of the last :meth:`refresh`, as :func:`held_codes` holds them: in
            packed rows of 2 bits a code on a CPU, int8 elsewhere.
        scale: fp32 scalar, ``weight ~ codes * scale``.
        kind: of the weight's quantiser.

    Args:
        in_features: width of the input.
        out_features: width of the output.
        norm: a norm inside the layer, before the activations are quantised.
        bias: whether there is one; it is not quantised.
        kind: ``bitnet`` (ternary) or ``binary``.
        engine: name of the engine (see :func:`bitnet.quant.select_engine`).
    """

    codes: Tensor
    scale: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        norm: nn.Module | None = None,
        bias: bool = False,
        kind: str = "bitnet",
        engine: str = "auto",
    ) -> None:
        super().__init__(in_features, out_features, norm, bias)
        codes = torch.zeros(out_features, packed_width(in_features), dtype=torch.uint8)
        self.register_buffer("codes", codes, persistent=False)
        self.register_buffer("scale", torch.zeros(()), persistent=False)
        self.kind = kind
        self.engine_name = engine
        self.refreshed_by_owner = False
        self.gathered: str | None = None
        self._engine: Engine | None = None
        self._share: Tensor | None = None
        self._seen: _Seen | None = None

    def forward(self, x: Tensor, reading: Reading | None = None) -> Tensor:
        """Map ``[..., in]`` to ``[..., out]`` in x's dtype; positions do not matter here."""
        codes, scale = self.current()
        (y,) = self.engine()(self.normed(x), (self.weight,), (codes,), (scale,))
        return self.biased(y)

    def engine(self) -> Engine:
        """The engine for where the weight is now and for how much of it is quantised."""
        if self._engine is None:
            shape = (self.weight.shape[0], self.weight.shape[1])
            if self._share is not None:
                self._engine = BlendedEngine(self._share, self.kind)
            else:
                device = self.weight.device
                self._engine = select_engine(self.engine_name, device, shape, self.kind)
        return self._engine

    @property
    def blended(self) -> bool:
        """Whether it is quantised by degrees now, which the exact engines do not serve."""
        return self._share is not None

    def set_quantization(self, share: float) -> None:
        """Quantise by degrees: 0 is a dense layer, 1 (as it is at first) the exact engine."""
        if share == 1.0:
            if self._share is not None:
                self._share = self._engine = None
        elif self._share is None:
            self._share = torch.tensor(share, device=self.weight.device)
            self._engine = None
        else:
            self._share.fill_(share)  # in place: a compiled pass stays valid

    def current(self) -> tuple[Tensor, Tensor]:
        """Codes, held or plain (see :class:`Engine`), and scale of the weight as it is now."""
        if self.gathered == "weight":
            return WEIGHT_CODES[self.kind](self.weight.detach())
        if torch.compiler.is_compiling():
            if not self.refreshed_by_owner:
                return WEIGHT_CODES[self.kind](self.weight.detach())
        else:
            self.refresh()
        return self.codes, self.scale

    def refresh(self, quantizer: Quantizer | None = None) -> None:
        """Make the codes anew if the weight changed since they were made.

        Args:
            quantizer: the layer's own, in a compiled form.
        """
        if self.gathered or (self._seen is not None and self._seen.still(self.weight)):
            return
        self.engine()
        # A training step may save these tensors even if an evaluation made them.
        with torch.inference_mode(False), torch.no_grad():
            weight = self.weight.detach()
            plain, scale = (quantizer or WEIGHT_CODES[self.kind])(weight)
            codes = held_codes(plain)
            # Only where a weight was trained: then no backward can be waiting for its old codes.
            trained = self._seen is not None
            self.codes = _laid_over(self.codes, codes) if trained else codes
            self.scale = _laid_over(self.scale, scale) if trained else scale
            self._seen = _Seen(weight, weight._version, _OptimizerSteps.taken)

    def gather_as(self, what: str) -> None:
        """Leave the weight to somebody who shares it out and puts it together for each pass.

        Args:
            what: comes back: ``weight``, which is then quantised in every call; or ``codes``, laid
                with their scale into the layer's own buffers, and then the weight has no values.
        """
        self.gathered, self.refreshed_by_owner = what, what == "codes"
        self._seen = self._engine = None
        self.codes = self.codes.new_empty(0)

    def invalidate(self) -> None:
        """Have the codes made anew at the next pass; needed after a write through ``.data``."""
        self._seen = None

    def train(self, mode: bool = True) -> BitLinear:
        """Set the mode; codes are made anew at the next pass."""
        self.invalidate()
        super().train(mode)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BitLinear:
        self._seen = self._engine = None
        if self._share is not None:
            self._share = fn(self._share).float()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()  # type: ignore[no-untyped-call]
        return {**state, "_seen": None, "_engine": None}
