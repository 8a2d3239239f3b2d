"""The safetensors files of a folder: one file, or shards with an index."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from bitnet.export.errors import WeightsError

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        WeightsError: it is not there, or something else.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: is not a JSON object")
    return content


def tensor_sizes(folder: Path) -> dict[Path, dict[str, tuple[int, ...]]]:
    """File to the names and shapes of its tensors; no values are read.

    Raises:
        WeightsError: no weights, a shard is missing or torn, or lacks what the index promises.
    """
    sizes = {file: _sizes_of(file) for file in _files(folder)}
    index = folder / _INDEX
    if index.is_file():
        promised = set(_weight_map(index))
        lost = sorted(promised - {name for names in sizes.values() for name in names})
        if lost:
            raise WeightsError(f"{index}: promises '{lost[0]}', which no shard holds")
    return sizes


def read_tensors(file: Path, names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
    """Values of one file, one tensor at a time."""
    with safe_open(file, framework="pt", device="cpu") as stream:
        for name in names:
            yield name, stream.get_tensor(name)


def _files(folder: Path) -> list[Path]:
    """The one file, or the shards in the order of their names."""
    if (folder / _SINGLE).is_file():
        return [folder / _SINGLE]
    index = folder / _INDEX
    if not index.is_file():
        raise WeightsError(f"{folder}: holds no {_SINGLE} and no {_INDEX}")
    names = sorted(set(_weight_map(index).values()))
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise WeightsError(f"{index}: names the shard '{name}', which is not there")
    return [folder / name for name in names]


def _weight_map(index: Path) -> dict[str, str]:
    found = read_json(index).get("weight_map")
    if not isinstance(found, dict):
        raise WeightsError(f"{index}: has no weight_map")
    return {str(name): str(file) for name, file in found.items()}


def _sizes_of(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(file, framework="pt", device="cpu") as stream:
            names = stream.keys()
            return {name: tuple(stream.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{file}: is not a whole safetensors file ({error})") from error
