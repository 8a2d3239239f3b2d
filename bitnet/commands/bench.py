"""``bitnet bench``: measurements that live in the repository's ``benchmarks/`` folder.

They compare contenders side by side on one machine, so they belong to a checkout, not to an
installed package.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitnet.config import ConfigError
from bitnet.config.errors import nearest
from bitnet.config.paths import config_home


@dataclass(frozen=True)
class Bench:
    """One benchmark.

    Attributes:
        module: where its ``run`` stands.
        keys: what can be set, and how the text of each becomes a value.
        defaults: values that are passed when nothing is said.
    """

    module: str
    keys: Mapping[str, Callable[[str, str], Any]]
    defaults: Mapping[str, Any]


def bench(arguments: list[str]) -> None:
    """Run one benchmark: ``bitnet bench train shapes=28m output=FILE rounds=9``.

    Raises:
        ConfigError: the benchmark or a key is unknown, or this is not a checkout.
    """
    if not arguments or arguments[0] not in _BENCHES:
        given = arguments[0] if arguments else "nothing"
        hint = nearest(given, list(_BENCHES))
        raise ConfigError(f"'{given}' is no benchmark{hint} (valid: {', '.join(_BENCHES)})")
    chosen = _BENCHES[arguments[0]]
    values = {**chosen.defaults, **_values(arguments[1:], chosen.keys)}
    home = config_home()
    if not (home / "benchmarks").is_dir():
        raise ConfigError("benchmarks are run from a checkout of the repository")
    sys.path.insert(0, str(home))
    importlib.import_module(chosen.module).run(**values)


def _values(arguments: list[str], keys: Mapping[str, Callable[[str, str], Any]]) -> dict[str, Any]:
    values = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in keys:
            hint = nearest(key, list(keys))
            raise ConfigError(f"{key}: there is no such key{hint} (valid: {', '.join(keys)})")
        values[key] = keys[key](key, value)
    return values


def _text(key: str, text: str) -> str:
    if not text:
        raise ConfigError(f"{key}: is empty; leave it out for its usual value")
    return text


def _file(key: str, text: str) -> Path:
    return Path(_text(key, text))


def _whole(key: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{key}: '{text}' is not a whole number above 0")
    return int(text)


def _counts(key: str, text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(f"{key}: '{text}' is not a list of whole numbers such as 0,1,2")
    return [int(part) for part in parts]


def _names(key: str, text: str) -> list[str]:
    return _text(key, text).split(",")


def _flag(key: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise ConfigError(f"{key}: '{text}' is neither true nor false")
    return text == "true"


_STEP = {"output": _file, "rounds": _whole, "device": _text}
_STEP_DEFAULTS = {"output": None, "rounds": 9, "device": "cpu"}
_BENCHES = {
    "train": Bench(
        "benchmarks.train.bench",
        {
            **_STEP,
            "plot": _file,
            "shapes": _names,
            "contenders": _names,
            "batch": _whole,
            "threads": _whole,
            "compile": _text,
            "compile_mode": _text,
            "cpu_allocator": _text,
            "peers": _file,
            "roofline": _flag,
        },
        {},
    ),
    "plan_check": Bench("benchmarks.plan_check", _STEP, _STEP_DEFAULTS),
    "data": Bench(
        "benchmarks.data_feed",
        {
            "output": _file,
            "root": _text,
            "tokenizer": _text,
            "rounds": _whole,
            "workers": _counts,
            "tokens": _whole,
            "folder": _text,
            "contenders": _names,
        },
        {},
    ),
}
