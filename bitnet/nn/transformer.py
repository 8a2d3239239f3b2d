"""The one model: a decoder-only Transformer made of whatever linear layers its spec names.

It is a thin eager shell around blocks that may be compiled. The shell brings ternary codes up to
date and looks up embeddings; everything heavy happens in the blocks and the head. Parameters are
fp32 masters and stay so; activations and products run in ``compute_dtype`` by explicit casts.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache as run_once
from math import sqrt

import torch
from torch import Tensor, nn

from bitnet.nn import counts
from bitnet.nn.bit_linear import BitLinear, Quantizer
from bitnet.nn.block import Block
from bitnet.nn.cache import KVCache
from bitnet.nn.factory import LinearFactory
from bitnet.nn.head import Head
from bitnet.nn.linear_spec import LinearSpec
from bitnet.nn.position import Rotation, rotation
from bitnet.nn.shape import ModelShape
from bitnet.nn.shape_rules import combination_problems
from bitnet.quant import ternary_codes


class Transformer(nn.Module):
    """A language model.

    Args:
        shape: its sizes; ``vocab_size`` must be filled in.
        linear: what the projections are.
        compute_dtype: dtype of activations and products.

    Raises:
        ValueError: the shape or the linear has problems, or the vocabulary is unknown.
    """

    def __init__(
        self,
        shape: ModelShape,
        linear: LinearSpec,
        compute_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        problems = shape.problems() + linear.problems() + combination_problems(shape, linear)
        if problems:
            raise ValueError("; ".join(problems))
        self.shape = shape
        self.linear = linear
        self.compute_dtype = compute_dtype
        factory = LinearFactory(linear, shape.norm_eps)
        self.embedding = nn.Embedding(shape.vocabulary, shape.dim)
        self.blocks = nn.ModuleList(Block(shape, factory) for _ in range(shape.layers))
        own_head = None if shape.tie_embeddings else shape.vocabulary
        self.head = Head(shape.dim, own_head, shape.norm_eps)
        self._compiled = False
        self._initialise()

    def forward(self, tokens_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        """Logits ``[B, T, V]`` in fp32 of the token after each.

        Args:
            tokens_BT: token ids.
            cache: what was read before; the tokens are appended to it. Passes with a cache change
                length each time and are never compiled.
        """
        x_BTD = self._hidden(tokens_BT, cache)
        head = self.head if cache is None else self.head.forward
        logits_BTV: Tensor = head(x_BTD, self.embedding.weight)
        return logits_BTV

    def nll(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """Loss of each target token in nats, fp32 ``[B, T]``."""
        nll_BT: Tensor = self.head(self._hidden(tokens_BT), self.embedding.weight, targets_BT)
        return nll_BT

    def compile_blocks(self) -> None:
        """Compile the blocks (one compilation serves all), the head and the weight quantiser.

        Names in the state dict stay as they are.
        """
        for block in self.blocks:
            block.compile()
        self.head.compile()
        self._compiled = True
        for layer in self.ternary_layers().values():
            layer.refreshed_by_owner = True

    def ternary_layers(self) -> dict[str, BitLinear]:
        """Name to layer, in the order of the state dict; empty for a dense model."""
        return {name: m for name, m in self.named_modules() if isinstance(m, BitLinear)}

    def refresh_codes(self) -> None:
        """Quantise the weights that changed since last time; every pass does this by itself."""
        quantizer = _compiled_quantizer() if self._compiled else ternary_codes
        for module in self.modules():
            if isinstance(module, BitLinear):
                module.refresh(quantizer)

    def parameter_counts(self) -> dict[str, int]:
        """Parameters: ``total``, ``ternary``, ``embedding`` and ``other``."""
        return counts.parameter_counts(self)

    def flops_per_token(self, sequence_length: int) -> float:
        """Operations to train on one token; see :func:`bitnet.nn.counts.flops_per_token`."""
        return counts.flops_per_token(self, sequence_length)

    def _hidden(self, tokens_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        self.refresh_codes()
        x_BTD: Tensor = self.embedding(tokens_BT).to(self.compute_dtype)
        turn = self._rotation(tokens_BT, 0 if cache is None else cache.length)
        if cache is None:
            for block in self.blocks:
                x_BTD = block(x_BTD, turn)
        else:
            for block, layer in zip(self.blocks, cache.layers, strict=True):
                x_BTD = block.forward(x_BTD, turn, layer)
        return x_BTD

    def _rotation(self, tokens_BT: Tensor, start: int) -> Rotation:
        length, width = tokens_BT.shape[1], self.shape.head_width
        return rotation(start, length, width, self.shape.rope_base, tokens_BT.device)

    def _initialise(self) -> None:
        """Normal weights; outputs into the residual stream smaller by ``sqrt(2 * layers)``."""
        std = self.shape.init_std
        residual = std / sqrt(2 * self.shape.layers)
        for name, parameter in self._matrices():
            small = name.endswith(("attention.o.weight", "ffn.down.weight"))
            nn.init.normal_(parameter, std=residual if small else std)

    def _matrices(self) -> Iterator[tuple[str, nn.Parameter]]:
        return ((name, p) for name, p in self.named_parameters() if p.ndim == 2)


@run_once
def _compiled_quantizer() -> Quantizer:
    # Flat and of dynamic length: one compilation serves matrices of every shape.
    flat: Quantizer = torch.compile(ternary_codes, dynamic=True)

    def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
        codes, scale = flat(weight.view(-1))
        return codes.view(weight.shape), scale

    return quantize
