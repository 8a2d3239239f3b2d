"""Whether to compile is decided once and said aloud."""

import pytest

from bitnet.training import compiling
from bitnet.training.compiling import resolve_compile


def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)


def test_auto_goes_on_without_a_compiler_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    without_compiler(monkeypatch)
    compiled, line = resolve_compile("auto", "cpu")
    assert not compiled and "no C++ compiler" in line


def test_always_refuses_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    without_compiler(monkeypatch)
    with pytest.raises(ValueError, match="compile=never"):
        resolve_compile("always", "cpu")


def test_a_compiler_is_used_unless_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: name)
    assert resolve_compile("auto", "cpu")[0] and resolve_compile("always", "cpu")[0]
    assert not resolve_compile("never", "cpu")[0]
