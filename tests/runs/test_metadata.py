"""Code, packages, machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from bitnet.runs import metadata


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_git_state_knows_commit_and_changes(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_text("x = 1\n")
    assert metadata.git_state(file) is None
    git(tmp_path, "init")
    assert metadata.git_state(file) is None  # an installed copy inside somebody's repository
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-m", "first")
    clean = metadata.git_state(file)
    assert clean is not None and len(clean["sha"]) == 40 and clean["dirty"] is False
    file.write_text("x = 2\n")
    assert metadata.git_state(file) == {"sha": clean["sha"], "dirty": True}


def test_collect_is_plain_json_and_takes_the_callers_knowledge() -> None:
    found = metadata.collect({"gpus": ["H200"]})
    assert set(found) == {"git", "versions", "machine"}
    assert json.loads(json.dumps(found)) == found
    assert found["machine"]["gpus"] == ["H200"]
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["cpu"]
    assert found["versions"]["torch"] and found["versions"]["python"]
