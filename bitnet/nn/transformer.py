"""The one model: a decoder-only Transformer made of whatever linear layers its spec names.

It is a thin eager shell around blocks that may be compiled. The shell brings quantised codes up to
date and looks up embeddings; everything heavy happens in the blocks and the head. Parameters are
fp32 masters and stay so; activations and products run in ``compute_dtype`` by explicit casts.
"""

from __future__ import annotations

from functools import cache as run_once

import torch
from torch import Tensor, nn

from bitnet.nn import counts
from bitnet.nn.bit_linear import BitLinear
from bitnet.nn.block import Block
from bitnet.nn.cache import KVCache
from bitnet.nn.factory import LinearFactory
from bitnet.nn.head import Head
from bitnet.nn.init import initialise
from bitnet.nn.linear import DenseLinear
from bitnet.nn.linear_spec import LinearSpec
from bitnet.nn.mup import width_ratio
from bitnet.nn.position import Rotation, rotation
from bitnet.nn.reading import Reading
from bitnet.nn.shape import ModelShape
from bitnet.nn.shape_rules import combination_problems
from bitnet.quant import WEIGHT_CODES, Quantizer


class Transformer(nn.Module):
    """A language model.

    Args:
        shape: its sizes and choices; ``vocab_size`` must be filled in.
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
        factory = LinearFactory(linear, shape)
        self.embedding = nn.Embedding(shape.vocabulary, shape.table_width)
        widens = shape.embedding_dim is not None
        self.embedding_in = DenseLinear(shape.table_width, shape.dim) if widens else None
        learned = shape.position == "learned"
        self.positions = nn.Embedding(shape.max_sequence_length, shape.dim) if learned else None
        self.blocks = nn.ModuleList(Block(shape, factory) for _ in range(shape.layers))
        self.head = Head(shape)
        self._compiled = False
        initialise(self)

    def forward(self, tokens_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        """Logits ``[B, T, V]`` in fp32 of the token after each.

        Args:
            tokens_BT: token ids.
            cache: what was read before; the tokens are appended to it. Passes with a cache change
                length each time and are never compiled.

        Raises:
            ValueError: learned positions end before the tokens do.
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
        """Name to quantised layer (ternary or binary), in the order of the state dict."""
        return {name: m for name, m in self.named_modules() if isinstance(m, BitLinear)}

    def refresh_codes(self) -> None:
        """Quantise the weights that changed since last time; every pass does this by itself."""
        for module in self.modules():
            if isinstance(module, BitLinear):
                module.refresh(_compiled_quantizer(module.kind) if self._compiled else None)

    def set_quantization(self, share: float) -> None:
        """Quantise weights and activations by degrees: ``v + share * (q(v) - v)``.

        Args:
            share: 0 is a dense model, 1 (the default) the exact engines.

        Raises:
            ValueError: it is not between 0 and 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"the share of quantisation is between 0 and 1, not {share}")
        for layer in self.ternary_layers().values():
            layer.set_quantization(share)

    def tables(self) -> list[nn.Parameter]:
        """The parameters that are looked up, or that logits are made with: not matrices proper."""
        owners = (self.embedding, self.positions, self.head)
        found = (None if owner is None else owner.weight for owner in owners)
        return [table for table in found if isinstance(table, nn.Parameter)]

    def hidden_matrices(self) -> dict[str, nn.Parameter]:
        """The matrices inside the blocks, by name."""
        return {
            name: parameter
            for name, parameter in self.named_parameters()
            if name.startswith("blocks.") and parameter.ndim == 2
        }

    def learning_rate_scales(self) -> dict[str, float]:
        """What each parameter's learning rate is multiplied by: 1, but for muP's hidden matrices.

        Source: :mod:`bitnet.nn.mup`.
        """
        hidden, ratio = self.hidden_matrices(), width_ratio(self.shape)
        return {name: ratio if name in hidden else 1.0 for name, _ in self.named_parameters()}

    def parameter_counts(self) -> dict[str, int]:
        """Parameters: ``total``, ``ternary``, ``embedding`` and ``other``."""
        return counts.parameter_counts(self)

    def flops_per_token(self, sequence_length: int) -> float:
        """Operations to train on one token; see :func:`bitnet.nn.counts.flops_per_token`."""
        return counts.flops_per_token(self, sequence_length)

    def _hidden(self, tokens_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        self.refresh_codes()
        start, length = 0 if cache is None else cache.length, tokens_BT.shape[1]
        x_BTD = self._embed(tokens_BT, start)
        reading = self._reading(start, length, cache)
        for block in self.blocks:
            x_BTD = block(x_BTD, reading) if cache is None else block.forward(x_BTD, reading)
        return x_BTD

    def _embed(self, tokens_BT: Tensor, start: int) -> Tensor:
        x_BTE: Tensor = self.embedding(tokens_BT).to(self.compute_dtype)
        x_BTD = x_BTE if self.embedding_in is None else self.embedding_in(x_BTE)
        if self.positions is not None:
            end = start + tokens_BT.shape[1]
            if end > self.shape.max_sequence_length:
                raise ValueError(
                    f"{end} tokens are more than the {self.shape.max_sequence_length} positions "
                    "this model has learned"
                )
            x_BTD = x_BTD + self.positions.weight[start:end].to(self.compute_dtype)
        return x_BTD if self.shape.embedding_scale == 1 else x_BTD * self.shape.embedding_scale

    def _reading(self, start: int, length: int, cache: KVCache | None) -> Reading:
        inner = self.linear.stage
        width = inner.dim // inner.heads if self.linear.kind == "stage" else 0
        return Reading(
            self._rotation(start, length, self.shape.rotary_width),
            self._rotation(start, length, width),
            cache,
        )

    def _rotation(self, start: int, length: int, width: int) -> Rotation | None:
        if not width:
            return None
        return rotation(start, length, width, self.shape.rope_base, self.embedding.weight.device)


@run_once
def _compiled_quantizer(kind: str) -> Quantizer:
    # Flat and of dynamic length: one compilation serves matrices of every shape.
    flat: Quantizer = torch.compile(WEIGHT_CODES[kind], dynamic=True)

    def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
        codes, scale = flat(weight.view(-1))
        return codes.view(weight.shape), scale

    return quantize
