"""Checkpoints are whole or absent, and opening one runs no code."""

import errno
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from bitnet.training import checkpoint_io
from bitnet.training.checkpoint_io import AtomicCheckpointIO, read_checkpoint
from bitnet.training.errors import CheckpointError


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "a.ckpt"
    AtomicCheckpointIO().save_checkpoint({"w": torch.arange(3), "n": [1, "x"]}, file)
    state = read_checkpoint(file)
    assert state["n"] == [1, "x"] and torch.equal(state["w"], torch.arange(3))
    assert [each.name for each in file.parent.iterdir()] == ["a.ckpt"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc] . unexpected pos 64 vs 0"),
    ],
)
def test_a_full_disk_leaves_the_old_file_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    file = tmp_path / "a.ckpt"
    AtomicCheckpointIO().save_checkpoint({"n": 1}, file)

    def fill(state: Any, stream: Any) -> None:
        stream.write(b"half of it")
        raise error

    monkeypatch.setattr(checkpoint_io.torch, "save", fill)
    with pytest.raises(CheckpointError, match="no space left on the disk") as caught:
        AtomicCheckpointIO().save_checkpoint({"n": 2}, file)
    assert len(str(caught.value).splitlines()) == 1
    monkeypatch.undo()
    assert read_checkpoint(file) == {"n": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.ckpt"]


def test_an_interruption_waits_until_the_file_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, save = {"w": torch.arange(9)}, torch.save

    def interrupted(state: Any, stream: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        save(state, stream)

    monkeypatch.setattr(checkpoint_io.torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint(written, tmp_path / "a.ckpt")
    assert torch.equal(read_checkpoint(tmp_path / "a.ckpt")["w"], written["w"])
    assert [each.name for each in tmp_path.iterdir()] == ["a.ckpt"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_torn_file_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "a.ckpt"
    AtomicCheckpointIO().save_checkpoint({"w": torch.zeros(1000)}, file)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="is not a whole, safe checkpoint"):
        read_checkpoint(file)


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (open, ("should never be opened",))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "a.ckpt"
    torch.save({"x": Bomb()}, file)
    with pytest.raises(CheckpointError, match="safe"):
        read_checkpoint(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        read_checkpoint(tmp_path / "none.ckpt")
