"""One fault at a time: what is borne without a trace in what is read."""

import io
import time
from collections.abc import Sequence

import pytest

from bitnet.data import DataError
from bitnet.data.remote import open_remote
from tests.data.remote.reading import CONTENT, always, faults, read, stop_message
from tests.data.remote.server import FaultyServer
from tests.data.remote.settings import noise, quick


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize(
    "sequence",
    [
        ["500"] * 4,
        ["503", "429", "502"],
        ["cut"] * 5,
        ["reset"] * 5,
        ["stall", "stall"],
        ["silence"],
        ["short"] * 3,
        ["unending"] * 3,
        ["", "other range", "other range"],
        ["whole"],
        ["cut", "500", "cut", "short", "whole"],
        ["chunked"],
        ["chunked cut", "chunked cut", "cut", "chunked"],
        ["untold", "untold"],
    ],
    ids="-".join,
)
def test_passing_faults_change_nothing(
    server: FaultyServer, sequence: Sequence[str], ahead: int
) -> None:
    address = server.add("file", CONTENT)
    server.fault = faults(*sequence)
    assert read(address, prefetch_chunks=ahead, timeout_seconds=0.2) == CONTENT
    assert sum(server.injected.values()) == sum(map(bool, sequence))


def test_a_cut_answer_is_gone_on_with_where_it_broke(server: FaultyServer) -> None:
    address = server.add("file", noise(4096))
    server.fault = faults("cut", "cut")
    read(address, prefetch_chunks=0)
    asked = [int(header.removeprefix("bytes=").split("-")[0]) for _, header, _ in server.requests]
    assert asked == [0, 2048, 3072]


@pytest.mark.parametrize("fault", ["whole", "chunked"])
def test_a_server_without_ranges_is_read_in_one_go(server: FaultyServer, fault: str) -> None:
    address = server.add("file", CONTENT)
    server.fault = always(fault)
    assert read(address) == CONTENT
    assert len(server.requests) == 1


def test_a_server_without_ranges_can_be_sought_in(server: FaultyServer) -> None:
    address = server.add("file", CONTENT)
    server.fault = always("whole")
    with open_remote(address, quick()) as file:
        for place in (30_000, 100, 39_990, 0):
            file.seek(place)
            assert file.read(50) == CONTENT[place : place + 50]
        assert file.seek(-10, io.SEEK_END) == len(CONTENT) - 10
        assert file.read() == CONTENT[-10:]


def test_a_length_that_is_never_told_is_refused(server: FaultyServer) -> None:
    """Without one, a cut connection would pass for the end of the file."""
    address = server.add("file", CONTENT)
    server.fault = always("untold")
    assert "does not say how long the file is" in stop_message(address, attempts=3)
    server.fault = always("unending")  # but for its Content-Range
    assert read(address) == CONTENT


def test_an_error_is_met_again_and_never_becomes_an_end(server: FaultyServer) -> None:
    address = server.add("file", CONTENT)
    failing = [False]
    server.fault = lambda path: "500" if failing[0] else ""
    with open_remote(address, quick(attempts=2)) as file:
        file.read(9000)  # far enough to read ahead
        failing[0] = True
        for _ in range(3):
            with pytest.raises(DataError):
                while file.read(4096):
                    pass
        failing[0] = False
        place = file.tell()
        assert file.read() == CONTENT[place:]


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("fault", ["stall", "silence"])
def test_a_stalled_file_closes_quickly(server: FaultyServer, fault: str) -> None:
    address = server.add("file", CONTENT)
    server.fault = faults("", "", fault)
    file = open_remote(address, quick(timeout_seconds=30.0, attempts=1))
    file.read(5000)  # the second page starts the thread, which goes on and stalls
    while not server.injected:
        time.sleep(0.01)
    begun = time.monotonic()
    file.close()
    assert time.monotonic() - begun < 5.0
