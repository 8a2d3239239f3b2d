"""The one model: a decoder-only Transformer made of whatever linear layers its spec names.

It is a thin eager shell around blocks that may be compiled. The shell brings quantised codes up to
date and looks up embeddings; everything heavy happens in the blocks and the head. Parameters are
fp32 masters and stay so; activations and products run in ``compute_dtype`` by explicit casts.
"""

from __future__ import annotations

from functools import cache as run_once

import torch
from torch import Tensor, nn

from bitnet.nn import cpu_attention, cpu_norm
from bitnet.nn.begin import begin, can_be_tiled, with_documents
from bitnet.nn.bit_linear import BitLinear
from bitnet.nn.block import Block
from bitnet.nn.cache import KVCache
from bitnet.nn.factory import LinearFactory
from bitnet.nn.head import Head
from bitnet.nn.init import initialise
from bitnet.nn.linear import DenseLinear
from bitnet.nn.linear_spec import LinearSpec
from bitnet.nn.norm import RMSNorm
from bitnet.nn.passes import PassSpec
from bitnet.nn.reading import Reading
from bitnet.nn.recompute import by_block
from bitnet.nn.shape import ModelShape
from bitnet.nn.shape_rules import combination_problems
from bitnet.nn.surveyed import Surveyed
from bitnet.quant import WEIGHT_CODES, Quantizer


class Transformer(Surveyed):
    """A language model.

    Attributes:
        passes: how its passes are carried out; set by :meth:`set_passes`.

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
        self.passes = PassSpec()
        self._compiled = self._graphs = False
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

    def loss(self, tokens_BT: Tensor, targets_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss, a scalar to go backward from, and that of each target, ``[B, T]``; in nats.

        The latter has no gradient. With many tokens and words, no logits of all tokens are made.
        """
        x_BTD = self._hidden(tokens_BT)
        return self.head.loss(x_BTD, self.embedding.weight, targets_BT, self.passes.loss_chunk)

    def set_passes(self, passes: PassSpec) -> None:
        """Say how passes are carried out; before anything is compiled.

        Raises:
            ValueError: a value makes no sense.
        """
        problems = passes.problems()
        if problems:
            raise ValueError("; ".join(problems))
        self.passes = passes
        policies = by_block(passes.recompute, len(self.blocks))
        for block, policy in zip(self.blocks, policies, strict=True):
            assert isinstance(block, Block)
            block.recompute = policy

    def compile_blocks(self, mode: str = "default") -> None:
        """Compile the blocks (one compilation serves all), the head and the weight quantiser.

        Names in the state dict stay as they are.

        Args:
            mode: of ``torch.compile``, for blocks and head.
        """
        for block in self.blocks:
            block.compile(mode=mode)
        self.head.compile_parts(mode)
        self._graphs = mode in ("reduce-overhead", "max-autotune") and torch.cuda.is_available()
        self._compiled = True
        for layer in self.ternary_layers().values():
            layer.refreshed_by_owner = True
        self.choose_norms()

    def choose_norms(self) -> None:
        """Have norms made as compiled passes here make them: by kernels, where there are any."""
        for module in self.modules():
            if isinstance(module, RMSNorm):
                module.by_kernel = cpu_norm.serves(self.compute_dtype)

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

    def _hidden(self, tokens_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        if self._graphs:
            torch.compiler.cudagraph_mark_step_begin()  # what the last pass made may go
        self.refresh_codes()
        x_BTD = self._embed(tokens_BT, 0 if cache is None else cache.length)
        reading = self._reading(tokens_BT, cache)
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

    def _reading(self, tokens_BT: Tensor, cache: KVCache | None) -> Reading:
        reading, end = begin(self.shape, self.linear, tokens_BT, cache), self.passes.end_token
        if self._compiled and tokens_BT.device.type == "cpu":
            reading = reading._replace(cpu_kernel=cpu_attention.serves(self.compute_dtype))
        if end is None:
            return reading
        tiled = self._compiled and tokens_BT.is_cuda and can_be_tiled(self.shape, self.linear)
        return with_documents(reading, tokens_BT, end, tiled)


@run_once
def _compiled_quantizer(kind: str) -> Quantizer:
    # Flat and of dynamic length: one compilation serves matrices of every shape.
    flat: Quantizer = torch.compile(WEIGHT_CODES[kind], dynamic=True)

    def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
        codes, scale = flat(weight.view(-1))
        return codes.view(weight.shape), scale

    return quantize
