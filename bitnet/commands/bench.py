"""``bitnet bench``: measurements that live in the repository's ``benchmarks/`` folder.

They compare contenders side by side on one machine, so they belong to a checkout, not to an
installed package.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from bitnet.config import ConfigError
from bitnet.config.errors import nearest
from bitnet.config.paths import config_home

_BENCHES = ("train_step", "plan_check")
_KEYS = ("output", "rounds", "device")


def bench(arguments: list[str]) -> None:
    """Run one benchmark: ``bitnet bench train_step output=FILE rounds=9 device=cpu``.

    Raises:
        ConfigError: the benchmark or a key is unknown, or this is not a checkout.
    """
    if not arguments or arguments[0] not in _BENCHES:
        given = arguments[0] if arguments else "nothing"
        hint = nearest(given, list(_BENCHES))
        raise ConfigError(f"'{given}' is no benchmark{hint} (valid: {', '.join(_BENCHES)})")
    values = _values(arguments[1:])
    home = config_home()
    if not (home / "benchmarks").is_dir():
        raise ConfigError("benchmarks are run from a checkout of the repository")
    sys.path.insert(0, str(home))
    module = importlib.import_module(f"benchmarks.{arguments[0]}")
    output = values.get("output")
    module.run(
        output=None if output is None else Path(output),
        rounds=_whole(values.get("rounds", "9")),
        device=values.get("device", "cpu"),
    )


def _values(arguments: list[str]) -> dict[str, str]:
    values = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in _KEYS:
            hint = nearest(key, list(_KEYS))
            raise ConfigError(f"{key}: there is no such key{hint} (valid: {', '.join(_KEYS)})")
        values[key] = value
    return values


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"rounds: '{text}' is not a whole number above 0")
    return int(text)
