"""How GPUs and CPU threads are shared out among the jobs of a sweep."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from bitnet.config import ConfigError, TrainConfig
from bitnet.config.schema import TrainerSpec
from bitnet.config.sweeping import ProcessesSpec


def dealt_devices(spec: ProcessesSpec) -> list[str]:
    """The GPUs to deal out, as ``CUDA_VISIBLE_DEVICES`` names them; none if no dealing is needed.

    Raises:
        ConfigError: a number has no GPU behind it.
    """
    visible = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    if spec.devices is None:
        count = torch.cuda.device_count()
        return (visible or [str(n) for n in range(count)])[:count] if spec.jobs > 1 else []
    return [_named(str(each), visible) for each in spec.devices]


def devices_needed(trainer: TrainerSpec, dealt: Sequence[str]) -> int:
    """How many of the dealt GPUs a job of this trainer takes."""
    return trainer.devices if dealt and trainer.accelerator != "cpu" else 0


def check_devices(spec: ProcessesSpec, configs: Sequence[TrainConfig]) -> None:
    """Whether every job can run under this launcher at all.

    Raises:
        ConfigError: a job needs more GPUs than there are to deal out, or several machines.
    """
    if spec.jobs < 1:
        raise ConfigError(f"hydra.launcher.jobs: is {spec.jobs}, but must be at least 1")
    dealt = dealt_devices(spec)
    for config in configs:
        if config.trainer.nodes > 1:
            raise ConfigError(
                "trainer.nodes: a sweep on one machine cannot start jobs on several; "
                "use a launcher of a cluster (hydra/launcher=submitit_slurm)"
            )
        if devices_needed(config.trainer, dealt) > len(dealt):
            raise ConfigError(
                f"trainer.devices: a job asks for {config.trainer.devices}, but "
                f"hydra.launcher.devices has {len(dealt)} ({', '.join(dealt)})"
            )


def thread_share(trainer: TrainerSpec, jobs: int) -> dict[str, str]:
    """``OMP_NUM_THREADS`` for a process of a job, unless there is one job or the user set it."""
    if jobs == 1 or "OMP_NUM_THREADS" in os.environ:
        return {}
    local = trainer.devices if trainer.accelerator == "cpu" else 1
    return {"OMP_NUM_THREADS": str(max(1, _cores() // (jobs * local)))}


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _named(device: str, visible: Sequence[str]) -> str:
    """A number counts among the GPUs that are visible here; anything else is a GPU's own name."""
    if not device.isdecimal() or not visible:
        return device
    if int(device) >= len(visible):
        raise ConfigError(
            f"hydra.launcher.devices: there is no GPU {device} among the {len(visible)} of "
            f"CUDA_VISIBLE_DEVICES={','.join(visible)}"
        )
    return visible[int(device)]
