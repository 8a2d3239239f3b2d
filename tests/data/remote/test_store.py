"""What is kept on disk: found again without a server, bounded, checked, shared."""

import errno
import logging
import multiprocessing
from pathlib import Path

import pytest

from bitnet.data.remote import NetworkSpec, RemoteInfo, open_remote, pins
from bitnet.data.remote.store import PageStore
from tests.data.remote.server import FaultyServer, Stored
from tests.data.remote.settings import noise, quick

CONTENT = noise(50_000)
INFO = RemoteInfo(50_000, 'etag "one"')


def cached(**changes: object) -> NetworkSpec:
    return quick(cache_gigabytes=1.0, **changes)


def read(address: str, network: NetworkSpec) -> bytes:
    with open_remote(address, network) as file:
        return file.read()


def read_anew(address: str, network: NetworkSpec) -> bytes:
    """As a process that starts later would."""
    pins.forget(address)
    return read(address, network)


def stored_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_what_was_read_needs_no_server(server: FaultyServer, own_cache: Path) -> None:
    address = server.add("file", CONTENT)
    assert read(address, cached()) == CONTENT
    server.stop()
    assert read_anew(address, cached(patience_seconds=0.0)) == CONTENT
    assert stored_bytes(own_cache) > len(CONTENT)


def test_a_later_start_asks_whether_the_file_is_still_the_same(server: FaultyServer) -> None:
    address = server.add("file", CONTENT)
    read(address, cached())
    before = len(server.requests)
    assert read_anew(address, cached()) == CONTENT
    assert len(server.requests) == before + 1
    server.files["/file"] = Stored(noise(50_000, 9), '"two"')
    assert read_anew(address, cached()) == noise(50_000, 9)


def test_no_cache_keeps_nothing(server: FaultyServer, own_cache: Path) -> None:
    read(server.add("file", CONTENT), quick())
    assert not own_cache.exists()


def test_damaged_pages_are_fetched_again(server: FaultyServer, own_cache: Path) -> None:
    address = server.add("file", CONTENT)
    read(address, cached())
    pages = sorted(own_cache.rglob("*-4096-*"))
    assert len(pages) == 13
    pages[0].write_bytes(b"")
    pages[1].write_bytes(pages[1].read_bytes()[:-1])
    changed = bytearray(pages[2].read_bytes())
    changed[100] ^= 1
    pages[2].write_bytes(changed)
    before = len(server.requests)
    assert read_anew(address, cached()) == CONTENT
    assert len(server.requests) > before + 1


def test_a_file_without_a_mark_is_not_kept(server: FaultyServer, own_cache: Path) -> None:
    """Its pages could not be told from those of a later version."""
    read(server.add("file", CONTENT, etag=""), cached())
    assert not list(own_cache.rglob("*-4096-*"))


def test_the_bound_holds_and_the_oldest_goes_first(tmp_path: Path) -> None:
    store = PageStore(tmp_path, 10_000)
    for number in range(40):
        store.keep("x", INFO, str(number), noise(900, number))
        assert stored_bytes(tmp_path) - (tmp_path / "lock").stat().st_size <= 10_000
        assert store.load("x", INFO, "0", 900) == noise(900, 0)  # used, so never the oldest
    assert store.load("x", INFO, "39", 900) == noise(900, 39)
    assert store.load("x", INFO, "2", 900) is None


def test_a_page_larger_than_the_bound_is_left_out(tmp_path: Path) -> None:
    store = PageStore(tmp_path, 100)
    store.keep("x", INFO, "0", noise(101))
    assert store.load("x", INFO, "0", 101) is None


def test_a_lost_count_is_made_anew(tmp_path: Path) -> None:
    store = PageStore(tmp_path, 10_000)
    store.keep("x", INFO, "0", noise(900))
    for count in (b"", b"nonsense", b"99999999"):
        (tmp_path / "lock").write_bytes(count)
        store.keep("x", INFO, count.decode() or "empty", noise(900))
    assert int((tmp_path / "lock").read_bytes()) == 4 * (900 + 16)


def test_a_full_disk_switches_the_cache_off_with_one_line(
    server: FaultyServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    own_cache: Path,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with caplog.at_level(logging.WARNING):
        assert read(server.add("file", CONTENT), cached()) == CONTENT
    (line,) = [record.getMessage() for record in caplog.records]
    assert "No space left on device" in line and "reading goes on" in line
    assert not [file for file in own_cache.rglob("*") if file.is_file() and file.name != "lock"]


def _fill(root: Path, seed: int) -> None:
    store = PageStore(root, 200_000)
    for number in range(300):
        store.keep("x", INFO, str(number), noise(2000, number))
        page = store.load("x", INFO, str(number), 2000)
        assert page in (None, noise(2000, number)), seed


def test_processes_share_a_folder_and_its_bound(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_fill, args=(tmp_path, seed)) for seed in range(3)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        counted = (tmp_path / "lock").read_bytes() if (tmp_path / "lock").exists() else b""
        assert int(counted or 0) <= 200_000
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert stored_bytes(tmp_path) <= 200_000 + 32
    assert not list(tmp_path.rglob(".*"))
