"""The folder of a sharded checkpoint: whole or not there, and data only."""

from __future__ import annotations

import os
import pickle
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.metadata import Metadata

from bitnet.runs import RunDirectory
from bitnet.training.checkpoint_io import read_checkpoint, remove_checkpoint
from bitnet.training.errors import CheckpointError
from bitnet.training.strategies import sharded_state
from bitnet.training.strategies.sharded_folder import PLAIN, is_sharded
from bitnet.training.strategies.sharded_state import write_sharded

NAME = "tokens-000000000000064.ckpt"


class Alone:
    """What writing asks of a strategy, for one process."""

    is_global_zero = True

    def broadcast(self, value: Any) -> Any:
        return value


def checkpoint(value: float = 1.0) -> dict[str, Any]:
    weight = torch.arange(15.0).view(5, 3) * value
    moments = {"exp_avg": weight / 2, "step": torch.tensor(3.0), "note": 7}
    return {
        "state_dict": {"net.b": weight, "net.a": torch.full((2,), value)},
        "optimizer_states": [{"state": {0: moments}, "param_groups": [{"lr": 0.5, "params": [0]}]}],
        "global_step": 3,
        "callbacks": {"RandomState": {"torch": torch.get_rng_state()}},
    }


def write(path: Path, value: float = 1.0) -> Path:
    write_sharded(checkpoint(value), path, Alone())  # type: ignore[arg-type]
    return path


def test_it_reads_as_one_file_would(tmp_path: Path) -> None:
    read, written = read_checkpoint(write(tmp_path / NAME)), checkpoint()
    assert read.keys() == written.keys()
    assert list(read["state_dict"]) == ["net.b", "net.a"]
    for name, weight in written["state_dict"].items():
        assert torch.equal(read["state_dict"][name], weight)
    state, expected = read["optimizer_states"][0], written["optimizer_states"][0]
    assert state["param_groups"] == expected["param_groups"]
    assert state["state"][0].keys() == expected["state"][0].keys()
    assert torch.equal(state["state"][0]["exp_avg"], expected["state"][0]["exp_avg"])
    assert (state["state"][0]["step"], state["state"][0]["note"]) == (torch.tensor(3.0), 7)
    assert torch.equal(read["callbacks"]["RandomState"]["torch"], torch.get_rng_state())


def test_weights_can_be_read_without_the_optimizers_state(tmp_path: Path) -> None:
    read = read_checkpoint(write(tmp_path / NAME), optimizer=False)
    assert torch.equal(read["state_dict"]["net.a"], torch.ones(2))
    assert "exp_avg" not in read["optimizer_states"][0]["state"][0]


def test_writing_again_replaces_the_whole_and_clears_what_killed_writers_left(
    tmp_path: Path,
) -> None:
    left = tmp_path / f".{NAME}.99.part"
    left.mkdir()
    (left / PLAIN).write_bytes(b"half")
    write(tmp_path / NAME)
    write(tmp_path / NAME, value=2.0)
    assert torch.equal(read_checkpoint(tmp_path / NAME)["state_dict"]["net.a"], 2 * torch.ones(2))
    assert [entry.name for entry in tmp_path.iterdir()] == [NAME]


def test_a_half_written_folder_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(tmp_path)
    run.checkpoints.mkdir()
    older = write(run.checkpoints / NAME)

    def full_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sharded_state.torch, "save", full_disk)
    newer = run.checkpoints / NAME.replace("64", "128")
    with pytest.raises(CheckpointError, match="no space left on the disk"):
        write_sharded(checkpoint(), newer, Alone())  # type: ignore[arg-type]
    assert not newer.exists()
    assert run.latest_checkpoint() == older


@pytest.mark.parametrize("missing", [".metadata", "__0_0.distcp"])
def test_a_torn_folder_is_refused(tmp_path: Path, missing: str) -> None:
    folder = write(tmp_path / NAME)
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match="is not a whole, safe checkpoint"):
        read_checkpoint(folder)


class Trap:
    """Unpickling this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_opening_runs_nobodys_code(tmp_path: Path) -> None:
    folder, sprung = write(tmp_path / NAME), tmp_path / "sprung"
    for name in (".metadata", PLAIN):
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(pickle.dumps(Trap(sprung)))
        with pytest.raises(CheckpointError, match="is not a whole, safe checkpoint"):
            read_checkpoint(folder)
        assert not sprung.exists()
        (folder / name).write_bytes(kept)
    pickle.loads(pickle.dumps(Trap(sprung)))  # the trap is one
    assert sprung.exists()


def test_parts_hold_nothing_but_tensors(tmp_path: Path) -> None:
    folder = write(tmp_path / NAME)
    index = (folder / ".metadata").read_bytes()
    planted = index.replace(b"TensorStorageMetadata", b"BytesStorageMetadata")
    assert planted != index
    (folder / ".metadata").write_bytes(planted)
    with pytest.raises(CheckpointError, match="is not a whole, safe checkpoint"):
        read_checkpoint(folder)


class Early(pickle.Pickler):
    """Writes members of enumerations as Python 3.11.2 does: by ``getattr``."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return getattr, (type(value), value.name)
        return NotImplemented


def early(value: Any) -> bytes:
    stream = BytesIO()
    Early(stream).dump(value)
    return stream.getvalue()


def test_an_index_of_an_early_python_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path / NAME)
    index = folder / ".metadata"
    index.write_bytes(early(pickle.loads(index.read_bytes())))
    assert b"getattr" in index.read_bytes()
    assert torch.equal(read_checkpoint(folder)["state_dict"]["net.a"], torch.ones(2))


class Reach:
    """Unpickling this takes an attribute of a class that an index may name."""

    def __reduce__(self) -> Any:
        return getattr, (Metadata, "__init__")


def test_attributes_of_anything_else_are_not_looked_up(tmp_path: Path) -> None:
    folder = write(tmp_path / NAME)
    (folder / ".metadata").write_bytes(pickle.dumps(Reach()))
    with pytest.raises(CheckpointError, match="an attribute '__init__' does not belong"):
        read_checkpoint(folder)


def test_removing_takes_the_name_first(tmp_path: Path) -> None:
    folder = write(tmp_path / NAME)
    assert is_sharded(folder)
    remove_checkpoint(folder)
    assert list(tmp_path.iterdir()) == []
    remove_checkpoint(folder)  # gone already
