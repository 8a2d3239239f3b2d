"""Libraries that only the quality steps need, so that nobody else has to install them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bitnet.data.errors import DataError


def from_extra(module: str, step: str) -> Any:
    """Import a library of the extra `quality`.

    Args:
        module: full name of the module.
        step: the setting that needs it, for the message.

    Raises:
        DataError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise DataError(
            f"{step}: needs the library {package}, which is not installed: "
            "pip install 'bitnet[quality]'"
        ) from error
