"""Configuration: from YAML and the command line to checked, plain dataclasses.

The schemas are the rooms' own specs (:mod:`~bitnet.config.schema`); Hydra composes into them
(:mod:`~bitnet.config.compose`), every fault comes back as one line
(:mod:`~bitnet.config.errors`), and rules that span fields live in :mod:`~bitnet.config.validate`.
"""

from bitnet.config.errors import ConfigError
from bitnet.config.schema import EvalConfig, GenerateConfig, PlanConfig, TrainConfig
from bitnet.config.validate import validate

__all__ = [
    "ConfigError",
    "EvalConfig",
    "GenerateConfig",
    "PlanConfig",
    "TrainConfig",
    "validate",
]
