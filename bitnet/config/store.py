"""Puts the schemas into Hydra's ConfigStore and the named resolvers into OmegaConf.

``schema/train``, ``schema/eval``, … stand under the primary configs; ``schema/<group>/<kind>``
under the files of groups that come in several kinds.
"""

from __future__ import annotations

import os
from datetime import datetime

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from bitnet.config.paths import config_home
from bitnet.config.schema import KINDS, EvalConfig, GenerateConfig, TrainConfig

_STAMP = "BITNET_STAMP"
_VERBS = {
    "train": TrainConfig,
    "eval": EvalConfig,
    "generate": GenerateConfig,
}


def register() -> None:
    """Make schemas and resolvers known; safe to call again."""
    store = ConfigStore.instance()
    for verb, schema in _VERBS.items():
        store.store(group="schema", name=verb, node=schema, package="_global_")
    for group, kinds in KINDS.items():
        for kind, schema in kinds.items():
            store.store(group=f"schema/{group}", name=kind, node=schema)
    OmegaConf.register_new_resolver("stamp", stamp, replace=True)
    os.environ["BITNET_HOME"] = str(config_home())


def stamp() -> str:
    """The time this command began, to the millisecond; child processes inherit it.

    One value a command, so that the dry composition, the run and its other ranks agree on a folder.
    """
    if _STAMP not in os.environ:
        os.environ[_STAMP] = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")[:-3]
    return os.environ[_STAMP]


def renew_stamp() -> None:
    """Forget the time, at the start of a command; a child process of another rank keeps it."""
    if "LOCAL_RANK" not in os.environ:
        os.environ.pop(_STAMP, None)
