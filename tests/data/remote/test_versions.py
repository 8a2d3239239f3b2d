"""A file that changes under its readers stops them; it is never mixed with its old self."""

import pytest

from bitnet.data import DataError
from bitnet.data.remote import RemoteInfo, open_remote
from bitnet.data.remote.answers import differs
from bitnet.data.remote.transport import Trouble
from tests.data.remote.server import FaultyServer, Stored
from tests.data.remote.settings import noise, quick

OLD, NEW = noise(60_000, 1), noise(60_000, 2)


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("fault", ["", "whole"])
@pytest.mark.parametrize(
    "new",
    [
        Stored(NEW, '"two"'),
        Stored(NEW, "", "Tue, 02 Jan 2024 00:00:00 GMT"),
        Stored(NEW[:-1], ""),
    ],
    ids=["etag", "last-modified", "size"],
)
def test_a_changed_file_stops(server: FaultyServer, new: Stored, fault: str, ahead: int) -> None:
    address = server.add("file", OLD, etag='"one"' if new.etag else "")
    if new.modified:
        server.files["/file"].modified = "Mon, 01 Jan 2024 00:00:00 GMT"
    seen = bytearray()
    with open_remote(address, quick(prefetch_chunks=ahead)) as file:
        seen += file.read(1)
        server.files["/file"] = new
        server.fault = lambda path: fault
        with pytest.raises(DataError, match="changed while it was being read"):
            while piece := file.read(1000):
                seen += piece
    assert bytes(seen) == OLD[: len(seen)]


def test_a_file_opened_again_is_still_the_same_version(server: FaultyServer) -> None:
    address = server.add("file", OLD)
    with open_remote(address, quick()) as file:
        file.read(10)
    server.files["/file"] = Stored(NEW, '"two"')
    with open_remote(address, quick()) as file, pytest.raises(DataError, match="changed"):
        file.read(10)


def test_answers_are_compared_by_their_marks_and_sizes() -> None:
    assert differs(RemoteInfo(5, 'etag "a"'), RemoteInfo(5, 'etag "b"'))
    assert not differs(RemoteInfo(5, 'etag "a"'), RemoteInfo(None, 'etag "a"'))
    assert not differs(RemoteInfo(5, ""), RemoteInfo(5, "modified today"))
    for silent in ("", "modified today"):
        with pytest.raises(Trouble, match="does not tell the version"):
            differs(RemoteInfo(5, 'etag "a"'), RemoteInfo(5, silent))
    assert differs(RemoteInfo(5, ""), RemoteInfo(6, ""))
    with pytest.raises(Trouble, match="claims 3 bytes"):
        differs(RemoteInfo(5, 'etag "a"'), RemoteInfo(3, 'etag "a"'))
