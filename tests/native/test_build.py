"""Building CPU kernels: kept, rebuilt when something changed, and never silently missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bitnet.native import build
from bitnet.native.build import Library
from bitnet.quant.engines.cpu.kernels import PRODUCTS
from bitnet.quant.engines.product import scaled_products


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.forget()
    yield
    build.forget()


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiler that writes nothing that can be loaded, and notes that it was called."""
    path = tmp_path / "fake"
    path.write_text(
        "#!/bin/sh\n"
        'echo "$@" >> "$0.calls"\n'
        'if [ "$1" = --version ]; then echo fake 1; exit; fi\n'
        'while [ "$1" != -o ]; do shift; done\n'
        'echo nothing > "$2"\n'
    )
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))
    return path


def test_a_build_is_kept(compiler: Path) -> None:
    first = build.built(PRODUCTS, str(compiler))
    assert build.built(PRODUCTS, str(compiler)) == first and first.parent == build.cache_folder()
    calls = (compiler.parent / "fake.calls").read_text().splitlines()
    assert sum("-shared" in call for call in calls) == 1


@pytest.mark.parametrize("name", ["x.cpp", "x.h"])
def test_another_source_is_another_build(compiler: Path, tmp_path: Path, name: str) -> None:
    library = Library("other", tmp_path, "runs", "nothing")
    (tmp_path / name).write_text("int x;")
    first = build.built(library, str(compiler))
    (tmp_path / name).write_text("int y;")
    assert build.built(library, str(compiler)) != first


def test_what_calls_torch_is_built_for_each_version_of_it(
    compiler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries = [Library("x", tmp_path, "runs", "nothing", with_torch=on) for on in (True, False)]
    first = [build.built(each, str(compiler)) for each in libraries]
    monkeypatch.setattr(torch, "__version__", "99.0")
    second = [build.built(each, str(compiler)) for each in libraries]
    assert second[0] != first[0] and second[1] == first[1]


def test_without_a_compiler_public_operations_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "no C++ compiler" in str(PRODUCTS.why_not())
    codes = torch.ones(2, 4, dtype=torch.int8)
    (y,) = scaled_products(codes, torch.ones(2, 1), [codes], [torch.tensor(0.5)], torch.float32)
    assert torch.equal(y, torch.full((2, 2), 2.0))


def test_a_library_that_cannot_be_loaded_is_told(compiler: Path) -> None:
    assert "products-" in str(PRODUCTS.why_not())
    codes = torch.ones(1, 1, dtype=torch.int8)
    (y,) = scaled_products(codes, torch.ones(1, 1), [codes], [torch.tensor(2.0)], torch.float32)
    assert y.item() == 2.0


def test_a_failing_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "failing"
    path.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "x.cpp: error: no" >&2\nexit 1\n'
    )
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))
    assert PRODUCTS.why_not() == f"{path} failed: x.cpp: error: no"


def test_a_home_that_cannot_be_written_is_no_obstacle(
    compiler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "elsewhere"))
    assert build.built(PRODUCTS, str(compiler)).is_relative_to(tmp_path / "elsewhere")
