"""Which allocator a run says that it uses, and which it does."""

from collections.abc import Iterator

import pytest

from bitnet.commands import allocator
from bitnet.native import KernelUnavailableError, page_pool


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = page_pool.uses_pages()
    page_pool.use_system()
    yield
    page_pool.use_system()
    if before:
        page_pool.use_pages()


def _said(caplog: pytest.LogCaptureFixture, name: str, device: str) -> list[tuple[str, str]]:
    caplog.clear()
    with caplog.at_level("INFO", logger=allocator.__name__):
        allocator.allocate(name, device)
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.mark.skipif(page_pool.why_not() is not None, reason="there is no pool here")
def test_a_run_on_a_cpu_takes_pages_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert _said(caplog, "pages", "cpu") == [("INFO", "memory: tensors come from a pool of pages")]
    assert page_pool.uses_pages()
    assert _said(caplog, "system", "cpu") == []
    assert not page_pool.uses_pages()


def test_a_gpu_has_its_own(caplog: pytest.LogCaptureFixture) -> None:
    assert _said(caplog, "pages", "cuda") == [] and not page_pool.uses_pages()


def test_where_there_is_none_the_run_goes_on_and_says_why(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise KernelUnavailableError("no compiler")

    monkeypatch.setattr(page_pool, "use_pages", refuse)
    assert _said(caplog, "pages", "cpu") == [
        ("INFO", "memory: the C library's, not a pool of pages: no compiler")
    ]
