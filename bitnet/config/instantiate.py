"""The one door through which a config may name a class: only from known packages.

``_target_`` runs code. Our own parts need none (they are typed specs); what is left is a user's
Lightning callback under ``callbacks.extra``.
"""

from __future__ import annotations

from typing import Any

import hydra.utils
from hydra.errors import HydraException

from bitnet.config.errors import ConfigError

ALLOWED_PREFIXES = ("bitnet.", "lightning.", "pytorch_lightning.", "torch.", "torchmetrics.")


def instantiate(path: str, node: dict[str, Any]) -> Any:
    """Build the object that ``node`` describes.

    Args:
        path: where ``node`` stands in the config, for messages.
        node: ``_target_`` and its arguments.

    Raises:
        ConfigError: no ``_target_``, one outside the allowed packages, or one that fails.
    """
    target = node.get("_target_")
    if not isinstance(target, str):
        raise ConfigError(f"{path}: needs _target_, the full name of a class")
    if not target.startswith(ALLOWED_PREFIXES):
        listing = ", ".join(prefix.rstrip(".") for prefix in ALLOWED_PREFIXES)
        raise ConfigError(f"{path}._target_: '{target}' is not allowed (valid packages: {listing})")
    try:
        return hydra.utils.instantiate(node)
    except HydraException as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path}: cannot be built: {reason}") from error
