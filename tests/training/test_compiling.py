"""Whether to compile is decided once and said aloud."""

import pytest
import torch

from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.training import compiling
from bitnet.training.compiling import COMPILE_MODES, graph_problems, resolve_compile


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


@pytest.mark.parametrize("mode", ["default", "max-autotune-no-cudagraphs"])
def test_modes_without_graphs_go_with_everything(mode: str) -> None:
    assert mode in COMPILE_MODES and not graph_problems(mode, "cpu", "bitnet", 8, True)


@pytest.mark.parametrize("mode", ["reduce-overhead", "max-autotune"])
@pytest.mark.parametrize(
    ("device", "kind", "devices", "accumulates", "reason"),
    [
        ("cpu", "dense", 1, False, "none on a CPU"),
        ("gpu", "bitnet", 1, False, "linear.kind=bitnet makes its codes anew"),
        ("gpu", "dense", 2, False, "between 2 devices"),
        ("gpu", "dense", 1, True, "several passes"),
    ],
)
def test_graphs_are_refused_where_memory_moves(
    mode: str, device: str, kind: str, devices: int, accumulates: bool, reason: str
) -> None:
    (line,) = graph_problems(mode, device, kind, devices, accumulates)
    assert reason in line and "use default or max-autotune-no-cudagraphs" in line
    assert not graph_problems(mode, "gpu", "dense", 1, False)


def test_the_mode_reaches_blocks_and_head(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(torch, "compile", lambda *_, **options: seen.append(options["mode"]))
    net = Transformer(ModelShape(dim=32, layers=3, heads=2, vocab_size=9), LinearSpec("dense"))
    net.compile_blocks("max-autotune-no-cudagraphs")
    assert seen == 5 * ["max-autotune-no-cudagraphs"]  # three blocks, the head and its norm
