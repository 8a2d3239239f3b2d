"""``trainer.strategy=fsdp``: Lightning's strategy for a model that is shared out over processes.

Lightning's own :class:`ModelParallelStrategy` starts the processes and knows their mesh. It leaves
the sharding to the user, writes checkpoints that are not replaced whole and whose index runs code
when opened, and never holds back the summing of gradients; these parts are ours.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from torch.distributed.fsdp import FSDPModule

from bitnet.nn import Transformer
from bitnet.training.checkpoint_io import read_checkpoint
from bitnet.training.errors import CheckpointError
from bitnet.training.module import PretrainingModule
from bitnet.training.strategies.codes import ShardedCodes
from bitnet.training.strategies.shard import shard
from bitnet.training.strategies.sharded_folder import is_sharded
from bitnet.training.strategies.sharded_state import (
    optimizer_plain,
    read_sharded,
    spread,
    write_sharded,
)
from bitnet.training.strategies.spec import ShardingSpec


class FullyShardedStrategy(ModelParallelStrategy):
    """FSDP2 over all processes, on GPUs (NCCL) and CPUs (gloo).

    Args:
        spec: what travels between the processes.
        processes: how many there are, over all machines.
    """

    def __init__(self, spec: ShardingSpec, processes: int) -> None:
        super().__init__(data_parallel_size=processes, tensor_parallel_size=1)
        self.spec = spec
        self._codes: ShardedCodes | None = None

    def setup(self, trainer: lightning.Trainer) -> None:
        """Share the model out (once; validation after training finds it so) and build the rest."""
        module = self._module()
        assert self.accelerator is not None
        self.accelerator.setup(trainer)
        if not isinstance(module.net, FSDPModule):
            mesh = self.device_mesh["data_parallel"]
            self._codes = shard(module.net, mesh, self.spec, module.quantization.is_on)
        self._move_the_rest(module)
        self.barrier()
        if trainer.state.fn == TrainerFn.FITTING:
            self.setup_optimizers(trainer)
        self.setup_precision_plugin()

    @contextmanager
    def block_backward_sync(self) -> Generator[None, None, None]:
        """In backwards before the last of a step, sum no gradients if the spec says so."""
        net = self._net()
        if self.spec.reduce == "micro_batch":
            yield
            return
        net.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            net.set_requires_gradient_sync(True)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """This process's part of every parameter."""
        return dict(self._module().state_dict())

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """The optimizer's own state dict, with this process's part of every tensor."""
        return optimizer_plain(optimizer)

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any = None
    ) -> None:
        """Write a folder that all processes fill; it takes its name when it is whole.

        Raises:
            CheckpointError: it could not be written, on every process.
        """
        write_sharded(checkpoint, Path(self.broadcast(str(filepath))), self)

    def load_checkpoint(
        self, checkpoint_path: str | Path, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read parameters and optimizer state in place, written by however many processes.

        Raises:
            CheckpointError: it is not a whole checkpoint of this model.
        """
        path = Path(self.broadcast(str(checkpoint_path)))
        module = self._module()
        if is_sharded(path):
            plain = read_sharded(path, module, self.optimizers)
        else:
            plain = spread(read_checkpoint(path), module, self.optimizers, path)
        if self._codes is not None:
            self._codes.mark_stale()
        return plain

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Nothing: :meth:`load_checkpoint` has done it."""

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Nothing: :meth:`load_checkpoint` has done it."""

    def remove_checkpoint(self, filepath: str | Path) -> None:
        """Not asked for: the checkpointer prunes its own folder."""
        raise CheckpointError(f"{filepath}: only the run's checkpointer removes checkpoints")

    def _module(self) -> PretrainingModule:
        module = self.lightning_module
        assert isinstance(module, PretrainingModule), "only pre-training is sharded"
        return module

    def _net(self) -> FSDPModule:
        net: Transformer = self._module().net
        assert isinstance(net, FSDPModule)
        return net

    def _move_the_rest(self, module: PretrainingModule) -> None:
        """Move what is not the model (metrics) to the device; the model is there in parts."""
        net: nn.Module = module.net
        module.net = None  # type: ignore[assignment]  # moving goes through all children
        module.to(self.root_device)
        module.net = net  # type: ignore[assignment]
