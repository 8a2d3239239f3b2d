"""Puts the schemas into Hydra's ConfigStore and the named resolvers into OmegaConf.

``schema/train``, ``schema/eval``, … stand under the primary configs; ``schema/<group>/<kind>``
under the files of groups that come in several kinds; our plugins' settings under ``hydra/…``.
"""

from __future__ import annotations

import os
from datetime import datetime

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from bitnet.config.paths import config_home
from bitnet.config.preparing import PrepareConfig
from bitnet.config.schema import KINDS, EvalConfig, GenerateConfig, PlanConfig, TrainConfig
from bitnet.config.scoring import ScoreConfig
from bitnet.config.sweeping import PLUGINS

_STAMP = "BITNET_STAMP"
_VERBS = {
    "train": TrainConfig,
    "plan": PlanConfig,
    "eval": EvalConfig,
    "generate": GenerateConfig,
    "prepare": PrepareConfig,
    "score": ScoreConfig,
}


def register() -> None:
    """Make schemas and resolvers known; safe to call again."""
    store = ConfigStore.instance()
    for verb, schema in _VERBS.items():
        store.store(group="schema", name=verb, node=schema, package="_global_")
    for group, kinds in KINDS.items():
        for kind, schema in kinds.items():
            store.store(group=f"schema/{group}", name=kind, node=schema)
    for (group, option), spec in PLUGINS.items():
        store.store(group=group, name=option, node=spec, provider="bitnet")
    OmegaConf.register_new_resolver("stamp", stamp, replace=True)
    OmegaConf.register_new_resolver("times", times, replace=True)
    os.environ["BITNET_HOME"] = str(config_home())


def stamp() -> str:
    """The time this command began, to the millisecond; child processes inherit it.

    One value a command, so that the dry composition, the run and its other ranks agree on a folder.
    """
    if _STAMP not in os.environ:
        os.environ[_STAMP] = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")[:-3]
    return os.environ[_STAMP]


def times(number: int, by: int, over: int = 1) -> int:
    """``${times:number,by,over}`` in a config: ``number * by / over``, rounded down.

    For sizes that follow from another, such as heads of a fixed width from the model's.
    """
    return number * by // over


def renew_stamp() -> None:
    """Forget the time, at the start of a command; a child process of another rank keeps it."""
    if "LOCAL_RANK" not in os.environ:
        os.environ.pop(_STAMP, None)
