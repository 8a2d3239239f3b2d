"""A replaced file is the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bitnet.runs.atomic import write_bytes, write_json, write_text


def test_content_arrives_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "één\r\n")
    write_bytes(tmp_path / "b", b"\x00\xff")
    write_json(tmp_path / "c", {"x": [1, None], "é": 0.1})
    assert (tmp_path / "a").read_bytes() == "één\r\n".encode()
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert '"é": 0.1' in (tmp_path / "c").read_text("utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "c"]


def test_a_failure_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_json(path, {"state": "running"})
    with pytest.raises(TypeError):
        write_json(path, {"state": object()})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(path, "new")
    assert path.read_text() == '{\n  "state": "running"\n}\n'
    assert list(tmp_path.iterdir()) == [path]
