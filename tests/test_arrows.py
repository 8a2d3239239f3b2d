"""The rooms' import arrows, held against the real imports.

The table below is the design: which rooms a room may import, and which packages from outside.
It reads source with `ast`, so nothing is imported and imports inside functions count too.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bitnet"
FACE = "the package's face"


@dataclass(frozen=True)
class Room:
    """What one room may import; `packages=None` leaves the outside open but for `banned`."""

    rooms: frozenset[str]
    packages: frozenset[str] | None = None
    banned: frozenset[str] = frozenset()


def room(rooms: str = "", packages: str | None = None, banned: str = "") -> Room:
    outside = None if packages is None else frozenset(packages.split())
    return Room(frozenset(rooms.split()), outside, frozenset(banned.split()))


BELOW_CONFIG = "native quant data nn runs training inference evaluation export planning"
HYDRA = "hydra omegaconf"
ROOMS = {
    "native": room("", "torch"),
    "quant": room("native", "torch"),
    "data": room(
        "",
        "datasets fsspec httpx huggingface_hub numpy py3langid pyarrow rensa tokenizers torch "
        "zstandard",
    ),
    "nn": room("native quant", "torch"),
    "runs": room("", "matplotlib rich yaml"),
    "training": room("nn data runs", banned=f"{HYDRA} optuna"),
    "inference": room("nn quant", banned=f"{HYDRA} lightning"),
    "evaluation": room("nn inference", banned=f"{HYDRA} lightning"),
    "export": room("nn quant", banned=f"{HYDRA} lightning"),
    "planning": room("nn", banned=f"{HYDRA} lightning"),
    "config": room(BELOW_CONFIG),
    "commands": room(f"{BELOW_CONFIG} config"),
    "cli": room(f"{BELOW_CONFIG} config commands"),
    "api": room(f"{BELOW_CONFIG} config commands"),
    "__init__": room("api"),
}
# One file of data/ is allowed Lightning: it wraps the feed for the trainer. Kernels for GPUs are
# written in Triton, each loaded only where it runs.
_KERNELS = ("gemm_kernels", "helper_kernels", "row_kernels", "scaled_mm")
EXTRA_PACKAGES = {
    "data/module.py": frozenset({"lightning"}),
    **{f"quant/engines/cuda/{name}.py": frozenset({"triton"}) for name in _KERNELS},
}


def imports(source: str, path: str) -> list[tuple[int, str]]:
    """Every import of a file as (line, absolute dotted name), relative ones resolved."""
    package = ["bitnet", *Path(path).parts[:-1]]
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return found


def room_of(path: str) -> str:
    """`nn/block.py` → `nn`; `cli.py` → `cli`."""
    return Path(path).parts[0].removesuffix(".py")


def outside_violation(name: str, path: str, own: Room) -> str | None:
    top = name.split(".")[0]
    if top in sys.stdlib_module_names or top in EXTRA_PACKAGES.get(path, frozenset()):
        return None
    if top in own.banned or (own.packages is not None and top not in own.packages):
        return f"imports {top}"
    return None


def inside_violation(name: str, path: str, own: Room) -> str | None:
    here, parts = room_of(path), name.split(".")
    target = parts[1] if len(parts) > 1 and parts[1] in ROOMS else FACE
    if target == here:
        return sibling_violation(parts, path)
    if target in own.rooms or (target == FACE and here in ("commands", "cli", "api", "__init__")):
        return None
    return f"imports {target} ({name})"


def sibling_violation(parts: list[str], path: str) -> str | None:
    """A callback may not lean on another: each must be removable alone."""
    callbacks = ["training", "callbacks"]
    own = [*Path(path).with_suffix("").parts]
    if own[:2] != callbacks or own[-1] == "__init__" or parts[1 : len(own) + 1] == own:
        return None
    return f"imports another callback ({'.'.join(parts)})" if parts[1:3] == callbacks else None


def violations(source: str, path: str) -> list[str]:
    """What a file at `path` (relative to the package) imports against the design."""
    if room_of(path) not in ROOMS:
        return [f"{path}: no room '{room_of(path)}' in the design"]
    own, found = ROOMS[room_of(path)], []
    for line, name in imports(source, path):
        check = inside_violation if name.split(".")[0] == "bitnet" else outside_violation
        if wrong := check(name, path, own):
            found.append(f"{path}:{line}: {room_of(path)} {wrong}")
    return found


def test_the_package_keeps_to_the_arrows() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    found = []
    for file in files:
        found += violations(file.read_text("utf-8"), file.relative_to(PACKAGE).as_posix())
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("nn/block.py", "import lightning"),
        ("nn/block.py", "from lightning.pytorch import Trainer"),
        ("nn/block.py", "import bitnet.data.mix"),
        ("nn/block.py", "from ..data import mix"),
        ("nn/block.py", "from .. import data"),
        ("nn/block.py", "def f():\n    from bitnet.training import x"),
        ("native/build.py", "import numpy"),
        ("native/build.py", "from bitnet.quant import ternary"),
        ("quant/ternary.py", "import numpy"),
        ("quant/engines/int8.py", "from ...nn import block"),
        ("data/mix.py", "import lightning"),
        ("data/mix.py", "from bitnet.nn import shape"),
        ("runs/plots.py", "import torch"),
        ("runs/plots.py", "from bitnet import __version__"),
        ("training/module.py", "from omegaconf import DictConfig"),
        ("training/callbacks/pruner.py", "import optuna"),
        ("training/module.py", "from bitnet.inference import generate"),
        ("inference/generate.py", "import lightning"),
        ("config/schema.py", "from bitnet.commands import train"),
        ("kitchen/sink.py", "import os"),
    ],
)
def test_a_planted_violation_is_caught(path: str, line: str) -> None:
    assert violations(f'"""Why."""\n{line}\n', path)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("data/module.py", "import lightning as L"),
        ("data/mix.py", "from torch.utils.data import IterableDataset"),
        ("nn/bitlinear.py", "from ..quant.ternary import absmean"),
        ("nn/block.py", "from . import norm"),
        ("quant/engines/int8.py", "from ..ternary import absmean"),
        ("training/module.py", "import lightning"),
        ("commands/train.py", "from bitnet import __version__"),
        ("cli.py", "import hydra"),
    ],
)
def test_an_allowed_import_is_let_through(path: str, line: str) -> None:
    assert violations(f'"""Why."""\n{line}\n', path) == []


@pytest.mark.parametrize(
    "planted",
    [
        "from .sampler import Sampler",
        "from . import sampler",
        "from bitnet.training.callbacks.sampler import Sampler",
        "from bitnet.training.callbacks import Sampler",
    ],
)
def test_callbacks_may_not_import_each_other(planted: str) -> None:
    assert violations(planted, "training/callbacks/heartbeat.py")
    assert violations(planted, "training/callbacks/__init__.py") == []


def test_callbacks_may_import_their_room() -> None:
    assert violations("from ..state import State", "training/callbacks/heartbeat.py") == []
