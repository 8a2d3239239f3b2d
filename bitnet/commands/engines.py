"""Which engine multiplies a run's quantised weights: checked before the run, said at its start."""

from __future__ import annotations

import torch

from bitnet.config import ConfigError, TrainConfig
from bitnet.nn import Transformer
from bitnet.quant import EngineUnavailableError, describe_engines, select_engine


def engine_line(config: TrainConfig, net: Transformer, device: torch.device) -> str | None:
    """The engines of a model's layers on `device` in one line; ``None`` for a dense model.

    Raises:
        ConfigError: the engine asked for cannot run there.
    """
    layers = net.ternary_layers().values()
    if not layers:
        return None
    try:
        engines = [
            select_engine(
                config.linear.engine,
                device,
                (layer.weight.shape[0], layer.weight.shape[1]),
                layer.kind,
            )
            for layer in layers
        ]
    except EngineUnavailableError as error:
        raise ConfigError(f"linear.engine: {error}") from error
    return describe_engines(engines, device)
