"""The libraries that train b1.58 layers, each as its own documentation has it used.

None of them is a dependency: one that is missing, or cannot run here, has a row that says so.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from benchmarks.train.apart import enter_unrun, load_file, look_there, stands_apart
from benchmarks.train.swapped import PeerLinear, Swapped
from benchmarks.train.task import Task
from bitnet.nn.reading import Reading

ABSENT = "not installed (make peers)"


class Torchao(Swapped):
    """``torchao.prototype.quantized_training``: int8 products forward, bf16 backward."""

    name = "torchao"
    note = "weights are quantised from their bf16 rounding, as under its own autocast"

    def why_not(self, task: Task) -> str | None:
        """See :class:`Contender`."""
        return None if find_spec("torchao") else ABSENT

    def load(self, task: Task) -> None:
        """See :class:`Contender`."""
        import torchao.prototype.quantized_training
        import torchao.quantization  # noqa: F401

    def wrapped(self, weight: nn.Parameter) -> nn.Module:
        """Its tensor subclass around the master."""
        from torchao.prototype.quantized_training import bitnet_training
        from torchao.quantization import quantize_

        with torch.device("meta"):
            inner = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        inner.weight = weight
        layer = _TorchaoLinear(inner)
        quantize_(layer, bitnet_training())
        return layer


class _TorchaoLinear(PeerLinear):
    """Casts the master as its autocast does, which it knows for CUDA alone."""

    def forward(self, x: Tensor, reading: Reading | None = None) -> Tensor:
        weight: Any = self.inner.weight
        return linear(x, weight.to(x.dtype), None).to(x.dtype)  # it counts the arguments


class Transformers(Swapped):
    """``AutoBitLinear`` in online mode, what ``quantization_mode="online"`` makes of a model."""

    name = "transformers"

    def why_not(self, task: Task) -> str | None:
        """See :class:`Contender`."""
        return None if find_spec("transformers") else ABSENT

    def load(self, task: Task) -> None:
        """See :class:`Contender`."""
        import transformers.integrations.bitnet  # noqa: F401

    def layer(self, in_features: int, out_features: int) -> Any:
        """See :class:`Swapped`."""
        from transformers.integrations.bitnet import AutoBitLinear

        return AutoBitLinear(in_features, out_features, bias=False, online_quant=True)


class PypiBitnet(Swapped):
    """The package ``bitnet`` of the index: its ``BitLinear``, and the norm that it imports."""

    name = "pypi bitnet"
    note = "weights of one bit (it has no ternary ones), and a norm inside each layer"
    _module = "bench_peer_bitnet"

    def why_not(self, task: Task) -> str | None:
        """See :class:`Contender`."""
        needed = ("bitnet/bitlinear.py", "zeta/nn/modules/simple_rmsnorm.py")
        return None if all(Path(task.peers, name).is_file() for name in needed) else ABSENT

    def load(self, task: Task) -> None:
        """See :class:`Contender`."""
        enter_unrun(task.peers, "zeta.nn.modules")
        module = load_file(Path(task.peers, "bitnet", "bitlinear.py"), self._module)
        self._linear = module.BitLinear

    def layer(self, in_features: int, out_features: int) -> Any:
        """See :class:`Swapped`."""
        return self._linear(in_features, out_features, bias=False)


class Bitlinear(Swapped):
    """The package ``bitlinear``, set to b1.58's own quantisers."""

    name = "bitlinear"
    note = "with weight_measure=AbsMean and norm=None; its defaults are AbsMedian and LayerNorm"

    def why_not(self, task: Task) -> str | None:
        """See :class:`Contender`."""
        return None if stands_apart(task.peers, "bitlinear") else ABSENT

    def load(self, task: Task) -> None:
        """See :class:`Contender`."""
        look_there(task.peers)
        self._linear = import_module("bitlinear").BitLinear

    def layer(self, in_features: int, out_features: int) -> Any:
        """See :class:`Swapped`."""
        settings = {"weight_measure": "AbsMean", "norm": None, "bias": False}
        return self._linear(in_features, out_features, **settings)


class Onebitllms(Swapped):
    """``onebitllms``: Triton kernels for the fake quantisation of both operands."""

    name = "onebitllms"
    note = "its quantisers interrupt a compiled block"

    def why_not(self, task: Task) -> str | None:
        """See :class:`Contender`."""
        if task.device != "cuda":
            return "runs on CUDA only"
        return None if stands_apart(task.peers, "onebitllms") else ABSENT

    def load(self, task: Task) -> None:
        """See :class:`Contender`."""
        look_there(task.peers)
        self._linear = import_module("onebitllms.layers").BitNetLinear

    def layer(self, in_features: int, out_features: int) -> Any:
        """See :class:`Swapped`."""
        return self._linear(in_features, out_features)
