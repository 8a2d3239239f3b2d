"""How long a failing server is waited for, and what is said about it."""

import logging
import threading
import time

import pytest

from bitnet.data.remote import open_remote
from bitnet.data.remote.answers import asked_wait
from tests.data.remote.reading import CONTENT, always, faults, read, stop_message
from tests.data.remote.server import FaultyServer
from tests.data.remote.settings import noise, quick


def test_reading_goes_on_when_a_server_is_back(
    server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    address = server.add("file", CONTENT)
    with open_remote(address, quick(prefetch_chunks=0, longest_wait=0.02, attempts=9999)) as file:
        start = file.read(6000)
        server.stop()
        threading.Timer(0.4, server.start).start()
        with caplog.at_level(logging.WARNING):
            assert start + file.read() == CONTENT
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2, lines
    assert "is unreachable" in lines[0] and "is back: it was unreachable for" in lines[1]


def test_a_single_fault_is_not_worth_a_line(
    server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    address = server.add("file", CONTENT)
    server.fault = faults("cut", "", "503", "", "cut")
    with caplog.at_level(logging.WARNING):
        read(address)
    assert not caplog.records


def test_attempts_run_out(server: FaultyServer) -> None:
    address = server.add("file", CONTENT)
    server.fault = always("503")
    message = stop_message(address, attempts=4)
    assert message.startswith(f"{address}: stays unreachable after 4 attempts over 0 seconds")
    assert "(last: HTTP 503 Service Unavailable)" in message
    assert len(server.requests) == 4


def test_patience_runs_out(server: FaultyServer) -> None:
    server.stop()
    begun = time.monotonic()
    message = stop_message(server.address("file"), attempts=10**6, patience_seconds=0.3)
    assert 0.25 < time.monotonic() - begun < 5
    assert "no connection" in message and "data.network.patience_seconds" in message


def test_any_progress_restores_patience(server: FaultyServer) -> None:
    address = server.add("file", CONTENT)
    server.fault = always("cut")  # half of what is asked arrives each time
    assert read(address, attempts=2) == CONTENT


@pytest.mark.parametrize(("headers", "least"), [({"Retry-After": "1"}, 0.9), ({}, 0.0)])
def test_the_wait_that_a_server_asks_for_is_kept(
    server: FaultyServer, headers: dict[str, str], least: float
) -> None:
    address = server.add("file", noise(100))
    server.extra = headers
    server.fault = faults("429")
    begun = time.monotonic()
    assert read(address) == noise(100)
    assert least <= time.monotonic() - begun < least + 3


def test_a_wait_beyond_patience_is_cut_to_it(server: FaultyServer) -> None:
    address = server.add("file", CONTENT)
    server.extra = {"Retry-After": "3600"}
    server.fault = always("503")
    assert "stays unreachable after 2 attempts" in stop_message(address, patience_seconds=0.2)


def test_asked_waits_are_understood() -> None:
    assert asked_wait({"retry-after": "7"}) == 7
    assert asked_wait({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert asked_wait({"ratelimit": '"resolvers";r=0;t=57'}) == 57
    assert asked_wait({}) == 0
