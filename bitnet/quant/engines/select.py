"""Which engine runs, by name and by what the device can do.

``auto`` takes the fastest exact engine; where it has to take the slow one it says so, once.
"""

from __future__ import annotations

import logging
from difflib import get_close_matches

import torch

from bitnet.quant.engines.contract import Engine, EngineUnavailableError
from bitnet.quant.engines.int8 import int8_engine
from bitnet.quant.engines.reference import binary_reference_engine, reference_engine

ENGINE_NAMES = ("auto", "reference", "int8")

_REFERENCES: dict[str, Engine] = {"bitnet": reference_engine, "binary": binary_reference_engine}

_log = logging.getLogger(__name__)
_said: set[str] = set()


def check_engine_name(name: str) -> str | None:
    """What is wrong with an engine's name in one line, or ``None``."""
    if name in ENGINE_NAMES:
        return None
    near = get_close_matches(name, ENGINE_NAMES, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{name!r} is no engine; choose one of {', '.join(ENGINE_NAMES)}{hint}"


def select_engine(
    name: str, device: torch.device, shape: tuple[int, int], kind: str = "bitnet"
) -> Engine:
    """The engine for weights of ``shape`` ``(out, in)`` on ``device``.

    Args:
        name: ``auto``, ``reference`` or ``int8``.
        device: where the weights are.
        shape: of the weight.
        kind: of its quantiser, ``bitnet`` or ``binary``; only the reference engine needs to know.

    Raises:
        EngineUnavailableError: no such name, or ``int8`` where it cannot run.
    """
    wrong = check_engine_name(name)
    if wrong:
        raise EngineUnavailableError(wrong)
    if name == "reference":
        return _REFERENCES[kind]
    missing = _why_not_int8(device, shape)
    if missing is None:
        return int8_engine
    if name == "int8":
        raise EngineUnavailableError(f"engine 'int8' cannot run: {missing}; use auto or reference")
    if missing not in _said:
        _said.add(missing)
        _log.warning("engine 'auto' takes the slower reference engine: %s", missing)
    return _REFERENCES[kind]


def _why_not_int8(device: torch.device, shape: tuple[int, int]) -> str | None:
    if device.type == "cpu":
        return None
    if device.type != "cuda":
        return f"there is no int8 matrix product on {device.type!r}"
    if shape[0] % 8 or shape[1] % 8:
        return f"on CUDA both sides of a weight must be multiples of 8, not {shape[0]}x{shape[1]}"
    return None
