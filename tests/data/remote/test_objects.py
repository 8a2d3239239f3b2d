"""Object stores, stood in for by fsspec's file system in memory."""

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from bitnet.data import DataError
from bitnet.data.remote import open_remote, pins, stat_remote
from tests.data.remote.settings import noise, quick

CONTENT = noise(60_000)
ADDRESS = "memory://bucket/file.bin"


@pytest.fixture(autouse=True)
def stored() -> None:
    fsspec.filesystem("memory").pipe("/bucket/file.bin", CONTENT)
    pins.forget(ADDRESS)


def failing(monkeypatch: pytest.MonkeyPatch, method: str, *errors: Exception | None) -> list[int]:
    """Have calls of a method fail in this order, then work; counts the calls."""
    original = getattr(MemoryFileSystem, method)
    left, calls = list(errors), [0]

    def call(self: MemoryFileSystem, *arguments: object, **options: object) -> object:
        calls[0] += 1
        if left and (error := left.pop(0)) is not None:
            raise error
        return original(self, *arguments, **options)

    monkeypatch.setattr(MemoryFileSystem, method, call)
    return calls


@pytest.mark.parametrize("ahead", [0, 2])
def test_errors_that_may_pass_are_borne(monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    errors = [OSError("reset"), TimeoutError(), None, RuntimeError("slow down"), None, EOFError()]
    calls = failing(monkeypatch, "cat_file", *errors)
    failing(monkeypatch, "info", None, OSError("503"), None, OSError("503"))
    with open_remote(ADDRESS, quick(prefetch_chunks=ahead)) as file:
        assert file.read() == CONTENT
    assert calls[0] > len(errors)


def test_it_can_be_sought_in() -> None:
    with open_remote(ADDRESS, quick()) as file:
        assert file.seek(-100, 2) == len(CONTENT) - 100
        assert file.read() == CONTENT[-100:]
    assert stat_remote(ADDRESS, quick()).size == len(CONTENT)


def test_short_answers_are_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    original = MemoryFileSystem.cat_file
    monkeypatch.setattr(
        MemoryFileSystem,
        "cat_file",
        lambda self, path, start, end: original(self, path, start, (start + end + 1) // 2),
    )
    with open_remote(ADDRESS, quick()) as file:
        assert file.read() == CONTENT


def test_an_outage_ends_with_a_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "cat_file", *[OSError("throttled\nslowly")] * 9)
    with open_remote(ADDRESS, quick(attempts=3)) as file, pytest.raises(DataError) as stop:
        file.read()
    assert "stays unreachable after 3 attempts" in str(stop.value)
    assert "OSError: throttled slowly" in str(stop.value)


def test_a_changed_object_stops() -> None:
    with open_remote(ADDRESS, quick(prefetch_chunks=0)) as file:
        file.read(5000)
        fsspec.filesystem("memory").pipe("/bucket/file.bin", noise(60_000, 5))
        with pytest.raises(DataError, match="changed while it was being read"):
            file.read()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("memory://bucket/gone", "FileNotFoundError"),
        ("memory://bucket", "IsADirectoryError"),
        ("s4://bucket/file", "'s4' is unknown"),
        ("hf://datasets/nobody", "is not of the form hf://datasets/OWNER/NAME"),
    ],
)
def test_what_will_not_pass_ends_at_once(address: str, said: str) -> None:
    with pytest.raises(DataError) as stop, open_remote(address, quick()) as file:
        file.read()
    assert said in str(stop.value) and "\n" not in str(stop.value)


@pytest.mark.parametrize(("scheme", "extra"), [("s3", "s3"), ("gs", "gcs")])
def test_a_missing_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, scheme: str, extra: str
) -> None:
    def missing(address: str) -> None:
        raise ImportError("Install something to access it")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(DataError, match=rf"pip install 'bitnet\[{extra}\]'"):
        stat_remote(f"{scheme}://bucket/file", quick())


def test_missing_credentials_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCredentialsError(Exception):
        pass

    calls = failing(monkeypatch, "info", *[NoCredentialsError("Unable to locate them")] * 9)
    with pytest.raises(DataError, match="Unable to locate"):
        stat_remote(ADDRESS, quick())
    assert calls[0] == 1
