"""Reading ahead: sooner, in order, within its bounds."""

import threading
import time

import pytest

from bitnet.data.remote import open_remote
from bitnet.data.remote.memory import memory
from tests.data.remote.server import FaultyServer
from tests.data.remote.settings import noise, quick

PAGE = 4096
CONTENT = noise(100 * PAGE)


@pytest.fixture(autouse=True)
def nothing_left_over() -> None:
    memory.forget()


def settled(value: object) -> None:
    """Wait until `value()` is true."""
    for _ in range(300):
        if value():  # type: ignore[operator]
            return
        time.sleep(0.01)
    raise AssertionError("did not settle")


def asked_up_to(server: FaultyServer) -> int:
    """The end of the furthest request, in bytes."""
    return max(int(asked.rpartition("-")[2]) + 1 for _, asked, _ in server.requests)


def test_one_page_is_all_that_a_look_costs(server: FaultyServer) -> None:
    with open_remote(server.add("file", CONTENT), quick()) as file:
        file.read(10)
        time.sleep(0.05)
        assert asked_up_to(server) == PAGE
        assert memory.used == 0


def test_requests_grow_to_a_chunk_and_stop_at_the_window(server: FaultyServer) -> None:
    with open_remote(server.add("file", CONTENT), quick()) as file:
        for _ in range(20):
            file.read(PAGE)
        settled(lambda: memory.used >= 5 * PAGE)
        time.sleep(0.05)
        assert memory.peak <= 2 * 4 * PAGE
        assert asked_up_to(server) <= (20 + 1 + 8 + 128 // 4) * PAGE
    lengths = [
        int(high) - int(low) + 1
        for low, high in (asked[6:].split("-") for _, asked, _ in server.requests)
    ]
    assert max(lengths) == 4 * PAGE and lengths[0] == PAGE
    assert memory.used == 0


def test_all_files_together_keep_to_the_bound(server: FaultyServer) -> None:
    bound = 6 * PAGE
    network = quick(memory_megabytes=bound / 1e6)
    files = [open_remote(server.add(f"f{n}", CONTENT), network) for n in range(8)]
    for _ in range(12):
        for file in files:
            assert len(file.read(PAGE)) == PAGE
    assert 0 < memory.peak <= bound
    for file in files:
        assert file.read() == CONTENT[12 * PAGE :]
        file.close()
    assert memory.used == 0


def test_seeks_give_the_right_bytes_and_leave_no_thread(server: FaultyServer) -> None:
    before = threading.active_count()
    with open_remote(server.add("file", CONTENT), quick()) as file:
        for place in (0, 50 * PAGE + 7, 3, 99 * PAGE, 20 * PAGE):
            file.seek(place)
            assert file.read(5 * PAGE) == CONTENT[place : place + 5 * PAGE]
    settled(lambda: not [t for t in threading.enumerate() if t.name == "read ahead"])
    assert threading.active_count() <= before + 20  # the server's own, one a connection


def test_an_abandoned_file_stops_its_thread(server: FaultyServer) -> None:
    file = open_remote(server.add("file", CONTENT), quick())
    file.read(10 * PAGE)
    assert [t for t in threading.enumerate() if t.name == "read ahead"]
    del file
    settled(lambda: not [t for t in threading.enumerate() if t.name == "read ahead"])
    assert memory.used == 0
