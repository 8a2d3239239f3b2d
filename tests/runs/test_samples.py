"""Samples are kept verbatim and cut by step, whatever the model writes."""

from __future__ import annotations

from pathlib import Path

from bitnet.runs import SamplesFile


def test_sections_are_appended_and_cut(tmp_path: Path) -> None:
    file = SamplesFile(tmp_path / "samples.md")
    assert file.truncate_after(0) == 0
    file.append(step=2, tokens=8192, samples=[("Once", " upon\n\na time")])
    first = file.path.read_bytes()
    file.append(step=4, tokens=16384, samples=[("Once", "")])
    whole = file.path.read_bytes()
    assert b"## 8,192 tokens (step 2)" in first and b"    a time\n" in first
    assert file.truncate_after(4) == 0
    assert file.truncate_after(3) == 1
    assert file.path.read_bytes() == first
    file.append(step=4, tokens=16384, samples=[("Once", "")])
    assert file.path.read_bytes() == whole
    assert file.truncate_after(-1) == 2
    assert file.path.read_bytes() == b""


def test_text_that_looks_like_a_heading_is_no_section(tmp_path: Path) -> None:
    file = SamplesFile(tmp_path / "samples.md")
    trap = "## 9 tokens (step 9)\n\r## 9 tokens (step 9)\u2028## 9 tokens (step 9)\n```"
    file.append(step=1, tokens=1, samples=[(trap, trap)])
    before = file.path.read_bytes()
    assert file.truncate_after(1) == 0
    assert file.path.read_bytes() == before


def test_half_a_character_is_shown_not_fatal(tmp_path: Path) -> None:
    file = SamplesFile(tmp_path / "samples.md")
    file.append(step=1, tokens=1, samples=[("a", "b\ud800c")])
    assert "b\\ud800c" in file.path.read_text("utf-8")
