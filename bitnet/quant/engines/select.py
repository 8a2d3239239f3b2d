"""Which engine runs, by name and by what the device can do.

``auto`` takes the fastest engine whose numbers are exact; where it has to take the slow one it says
so, once. How the products of a fast engine are computed is another question, answered where the
device's products are: every answer gives the same bits.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches

import torch

from bitnet.quant.engines import cuda
from bitnet.quant.engines.blended import BlendedEngine
from bitnet.quant.engines.contract import Engine, EngineUnavailableError
from bitnet.quant.engines.cpu.kernels import multiplies_bf16
from bitnet.quant.engines.cpu.kernels import why_not as why_no_kernel
from bitnet.quant.engines.cuda.gradient import why_not_e4m3
from bitnet.quant.engines.int8 import int8_engine, int8_grad8_engine, int8_grad_e4m3_engine
from bitnet.quant.engines.reference import binary_reference_engine, reference_engine

_REFERENCES: dict[str, Engine] = {"bitnet": reference_engine, "binary": binary_reference_engine}
_FAST: dict[str, Engine] = {
    "int8": int8_engine,
    "int8_grad8": int8_grad8_engine,
    "int8_grad_e4m3": int8_grad_e4m3_engine,
}

ENGINE_NAMES = ("auto", "reference", *_FAST)

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
        name: one of ``ENGINE_NAMES``.
        device: where the weights are.
        shape: of the weight.
        kind: of its quantiser, ``bitnet`` or ``binary``; only the reference engine needs to know.

    Raises:
        EngineUnavailableError: no such name, or a fast engine where it cannot run.
    """
    wrong = check_engine_name(name)
    if wrong:
        raise EngineUnavailableError(wrong)
    if name == "reference":
        return _REFERENCES[kind]
    missing = _why_not_int8(device, shape)
    if name == "int8_grad_e4m3" and not _elsewhere(device):
        missing = missing or why_not_e4m3(device)
    if missing is None:
        return _FAST.get(name, int8_engine)
    if name in _FAST:
        raise EngineUnavailableError(
            f"engine {name!r} cannot run: {missing}; use auto or reference"
        )
    _say_once(f"engine 'auto' takes the slower reference engine: {missing}")
    return _REFERENCES[kind]


def describe_engines(engines: Iterable[Engine], device: torch.device) -> str:
    """One line for people: the engines of a model's layers, and who computes their products."""
    counts = Counter(_name_of(engine) for engine in engines)
    names = ", ".join(
        name if len(counts) == 1 else f"{name} ({count} layers)" for name, count in counts.items()
    )
    fast = any(name in _FAST for name in counts)
    return f"{names}; products {_products_on(device)}" if fast else names


def _name_of(engine: Engine) -> str:
    if isinstance(engine, BlendedEngine):
        return "blended, until quantisation is whole"
    named = {**_FAST, "reference": reference_engine, "binary reference": binary_reference_engine}
    return next((name for name, each in named.items() if each is engine), repr(engine))


def _products_on(device: torch.device) -> str:
    if device.type == "cuda":
        return cuda.served_by()
    missing = why_no_kernel()
    if missing is not None:
        return f"by torch._int_mm ({missing})"
    part = "" if multiplies_bf16() else ", gradients in bf16 by torch (no AVX-512 BF16)"
    return f"by the AVX-512 kernel{part}"


def _say_once(line: str) -> None:
    if line not in _said:
        _said.add(line)
        _log.warning(line)


def _elsewhere(device: torch.device) -> bool:
    """Whether a plan is made for a GPU that is not here."""
    return device.type == "cuda" and not torch.cuda.is_available()


def _why_not_int8(device: torch.device, shape: tuple[int, int]) -> str | None:
    if device.type == "cpu":
        return None
    if device.type != "cuda":
        return f"there is no int8 matrix product on {device.type!r}"
    if _elsewhere(device):
        return cuda.why_not_shape(*shape)
    return cuda.why_not(device, *shape)
