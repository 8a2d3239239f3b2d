"""Answers that are no faults of the line: refusals, redirects, packing, sizes."""

import pytest

from bitnet.data import DataError
from bitnet.data.remote import open_remote, stat_many, stat_remote
from tests.data.remote.reading import CONTENT, always, faults, read, stop_message
from tests.data.remote.server import FaultyServer
from tests.data.remote.settings import quick


@pytest.mark.parametrize("status", ["400", "401", "403", "404", "410"])
def test_what_will_not_pass_ends_at_once(server: FaultyServer, status: str) -> None:
    address = server.add("file", CONTENT)
    server.fault = always(status)
    assert f"cannot be read (HTTP {status}" in stop_message(address)
    assert len(server.requests) == 1


def test_secrets_in_an_address_are_not_shown(server: FaultyServer) -> None:
    message = stop_message(server.address("gone") + "?Signature=secret")
    assert "secret" not in message and "/gone" in message


def test_packing_for_the_way_is_refused_unless_the_file_is_so_named(server: FaultyServer) -> None:
    packed = {"headers": {"Content-Encoding": "gzip"}}
    assert "Content-Encoding: gzip" in stop_message(server.add("a.jsonl", CONTENT, **packed))
    assert read(server.add("a.jsonl.gz", CONTENT, **packed)) == CONTENT


def test_redirects_are_followed_once_and_remembered(server: FaultyServer) -> None:
    server.add("real", CONTENT)
    server.redirects["/old"] = (server.address("real", "localhost"), {})
    assert read(server.address("old"), chunk_megabytes=0.004) == CONTENT
    paths = [path for path, _, _ in server.requests]
    assert paths.count("/old") == 1 and paths.count("/real") > 2


def test_a_redirect_that_ran_out_is_asked_for_again(server: FaultyServer) -> None:
    server.add("real", CONTENT)
    server.redirects["/old"] = (server.address("real?signed=1", "localhost"), {})
    with open_remote(server.address("old"), quick(prefetch_chunks=0)) as file:
        start = file.read(6000)
        server.refused.add("/real?signed=1")
        server.redirects["/old"] = (server.address("real?signed=2", "localhost"), {})
        assert start + file.read() == CONTENT


@pytest.mark.parametrize("fault", ["", "whole"])
def test_empty_files_are_empty(server: FaultyServer, fault: str) -> None:
    address = server.add("empty", b"")
    server.fault = always(fault)
    assert read(address) == b""
    assert stat_remote(address, quick()).size == 0


def test_stat_asks_once_in_a_process(server: FaultyServer) -> None:
    address = server.add("file", CONTENT)
    server.fault = faults("503", "cut")
    assert stat_remote(address, quick()) == (len(CONTENT), 'etag "one"')
    asked = len(server.requests)
    assert stat_remote(address, quick()).size == len(CONTENT)
    assert len(server.requests) == asked


def test_many_files_are_asked_for_at_once(server: FaultyServer) -> None:
    names = [f"file{number}" for number in range(40)]
    addresses = [server.add(name, CONTENT[: 100 + n]) for n, name in enumerate(names)]
    assert [info.size for info in stat_many(addresses, quick())] == list(range(100, 140))
    with pytest.raises(DataError, match="gone: cannot be read"):
        stat_many([*addresses, server.address("gone")], quick())
