"""The folder of a sharded checkpoint: tensors by torch.distributed.checkpoint, the rest beside.

    tokens-000000001048576.ckpt/
        plain.pt       everything that is no tensor of the model or the optimizer
        .metadata      which part of which tensor lies where
        __0_0.distcp   parts of process 0, and so on

Whoever opens it gets data and runs no code: ``plain.pt`` and the parts are read with
``weights_only=True``; ``.metadata`` is a pickle of a few dataclasses of torch, and no other name in
it is looked up.
"""

from __future__ import annotations

import pickle
import warnings
from enum import EnumType
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta, TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load

from bitnet.training.errors import CheckpointError

PLAIN = "plain.pt"
MODEL, OPTIMIZER = "model.", "optimizer."

_ALLOWED = {
    "torch.distributed.checkpoint.metadata": {
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.serialization": {"_get_layout"},
    "torch": {"Size", "float64", "float32", "float16", "bfloat16"}
    | {"int64", "int32", "int16", "int8", "uint8", "bool"},
}


FAULTS = (Exception, CheckpointException)
"""What reading and writing may raise: torch has many kinds for a torn or foreign file, and one that
is no ``Exception``."""


def _member(kind: Any, name: str) -> Any:
    """A member of an enumeration: early 3.11 pickles one as ``getattr`` of its class."""
    if not (isinstance(kind, EnumType) and name in kind.__members__):
        raise pickle.UnpicklingError(f"an attribute '{name}' does not belong into an index")
    return kind[name]


class _DataOnly(pickle.Unpickler):
    """Looks up the names that an index is made of, and none else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("builtins", "getattr"):
            return _member
        if name not in _ALLOWED.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name} does not belong into an index")
        return super().find_class(module, name)


class Writer(FileSystemWriter):
    """torch's writer of sharded checkpoints: a file a process, flushed to the disk.

    Args:
        folder: to write into.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), single_file_per_rank=True, sync_files=True)

    def storage_meta(self) -> StorageMeta:
        """Nothing of the machine: the place where it was written says nothing later on."""
        return StorageMeta()


class SafeReader(FileSystemReader):
    """torch's reader of sharded checkpoints, without its unrestricted unpickling of the index."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The index of the checkpoint.

        Raises:
            pickle.UnpicklingError: it holds anything but what an index of tensors is made of.
        """
        with (Path(self.path) / ".metadata").open("rb") as stream:
            metadata = _DataOnly(stream).load()
        if not isinstance(metadata, Metadata) or not all(
            isinstance(each, TensorStorageMetadata)
            for each in metadata.state_dict_metadata.values()
        ):
            raise pickle.UnpicklingError("the index is not one of tensors")
        if metadata.storage_meta is None:
            metadata.storage_meta = StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata


def is_sharded(path: str | Path) -> bool:
    """Whether a checkpoint is a folder of this form."""
    return (Path(path) / PLAIN).is_file()


def read_plain_part(folder: Path) -> dict[str, Any]:
    """What ``plain.pt`` holds."""
    plain: dict[str, Any] = torch.load(folder / PLAIN, map_location="cpu", weights_only=True)
    return plain


def sizes_of(folder: Path) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Name to size and dtype of every tensor."""
    found = SafeReader(str(folder)).read_metadata().state_dict_metadata
    return {
        name: (each.size, each.properties.dtype)
        for name, each in found.items()
        if isinstance(each, TensorStorageMetadata)
    }


def read_folder(folder: Path, optimizer: bool = True) -> dict[str, Any]:
    """A sharded checkpoint put together, as if one process had written it in one file.

    Args:
        folder: the checkpoint.
        optimizer: whether its state is wanted: most of the bytes.

    Raises:
        CheckpointError: it is not whole, or is something else.
    """
    try:
        plain = read_plain_part(folder)
        tensors = {
            name: torch.empty(size, dtype=dtype)
            for name, (size, dtype) in sizes_of(folder).items()
            if optimizer or name.startswith(MODEL)
        }
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")
            load(tensors, storage_reader=SafeReader(str(folder)), no_dist=True)
    except FAULTS as error:
        raise not_whole(folder, error) from error
    return joined(plain, tensors)


def cause(error: BaseException) -> BaseException:
    """What went wrong on the first process that tells: torch gathers the faults of all."""
    if isinstance(error, CheckpointException) and error.failures:
        found: BaseException = next(iter(error.failures.values()))[0]
        return found
    return error


def not_whole(folder: Path, error: BaseException) -> CheckpointError:
    """The one line for a folder that cannot be read."""
    fault = cause(error)
    reason = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
    return CheckpointError(f"{folder}: is not a whole, safe checkpoint ({reason})")


def joined(plain: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Lightning's form of a checkpoint, from its plain part and its named tensors."""
    plain["state_dict"] = {
        name: tensors[MODEL + name] for name in plain["names"] if MODEL + name in tensors
    }
    for name, value in tensors.items():
        if name.startswith(OPTIMIZER):
            number, index, key = name.removeprefix(OPTIMIZER).split(".", 2)
            state = plain["optimizer_states"][int(number)]["state"]
            state.setdefault(int(index), {})[key] = value
    del plain["names"]
    return plain


def parted(checkpoint: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The plain part of Lightning's checkpoint, and its tensors by name: undoes :func:`joined`."""
    plain = {key: value for key, value in checkpoint.items() if key != "state_dict"}
    plain["names"] = list(checkpoint["state_dict"])
    tensors = {MODEL + name: value for name, value in checkpoint["state_dict"].items()}
    plain["optimizer_states"] = []
    for number, saved in enumerate(checkpoint.get("optimizer_states", [])):
        state: dict[int, dict[str, Any]] = {}
        for index, values in saved["state"].items():
            state[index] = {}
            for key, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"{OPTIMIZER}{number}.{index}.{key}"] = value
                else:
                    state[index][key] = value
        plain["optimizer_states"].append({**saved, "state": state})
    return plain, tensors
