"""Sweeps: a launcher that gives each job its own processes, and a search with Optuna.

Both are Hydra plugins, so ``bitnet train -m`` takes them by ``hydra/launcher=`` and
``hydra/sweeper=``, beside every other plugin.
"""

from __future__ import annotations

from hydra.core.plugins import Plugins

from bitnet.commands.sweeping.launcher import ProcessLauncher
from bitnet.commands.sweeping.optuna_sweeper import OptunaSweeper


def register_plugins() -> None:
    """Make our plugins known to Hydra; safe to call again."""
    plugins = Plugins.instance()
    for kind in (ProcessLauncher, OptunaSweeper):
        plugins.register(kind)
        # Hydra accepts names of its own namespace only, and ours are no package of that.
        plugins.class_name_to_class[f"hydra_plugins.bitnet.{kind.__name__}"] = kind
