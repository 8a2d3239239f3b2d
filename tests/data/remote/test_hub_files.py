"""Addresses of the hub, against a server on this machine that answers as the hub does."""

import pytest

from bitnet.data import DataError
from bitnet.data.remote import open_remote, stat_remote
from bitnet.data.remote.hub_files import hub_transport
from tests.data.remote.server import FaultyServer
from tests.data.remote.settings import noise, quick

CONTENT = noise(40_000)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LINKED = {"X-Linked-Etag": '"sha-of-the-file"'}


@pytest.fixture
def hub(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> FaultyServer:
    """Resolves owner/name@main/a.jsonl to a file of another host."""
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.add("cdn/a", CONTENT, etag='"etag-of-the-cdn"')
    server.redirects["/datasets/owner/name/resolve/main/data/a.jsonl"] = (
        server.address("cdn/a", "localhost"),
        LINKED,
    )
    return server


def test_a_hub_file_is_read_and_resolved_once(hub: FaultyServer) -> None:
    with open_remote("hf://datasets/owner/name@main/data/a.jsonl", quick()) as file:
        assert file.read() == CONTENT
    resolved = [path for path, _, _ in hub.requests if "/resolve/" in path]
    assert len(resolved) == 1
    assert stat_remote("hf://datasets/owner/name@main/data/a.jsonl", quick()) == (
        len(CONTENT),
        'etag "sha-of-the-file"',
    )


def test_the_token_goes_to_the_hub_and_nowhere_else(hub: FaultyServer) -> None:
    hub.redirects["/datasets/o/n/resolve/main/b"] = (hub.address("cdn/a", "localhost"), LINKED)
    stat_remote("hf://datasets/o/n/b", quick())
    sent = {path: token for path, _, token in hub.requests}
    assert sent == {"/datasets/o/n/resolve/main/b": "Bearer hf_secret", "/cdn/a": ""}


@pytest.mark.parametrize(
    ("address", "path", "immutable"),
    [
        (f"hf://datasets/o/n@{COMMIT}/x y.json", f"datasets/o/n/resolve/{COMMIT}/x%20y.json", True),
        ("hf://datasets/o/n/a/b.zst", "datasets/o/n/resolve/main/a/b.zst", False),
        (
            "hf://datasets/o/n@refs/convert/parquet/d/0.parquet",
            "datasets/o/n/resolve/refs%2Fconvert%2Fparquet/d/0.parquet",
            False,
        ),
        (
            "hf://datasets/o/n@refs%2Fconvert%2Fparquet/d/0.parquet",
            "datasets/o/n/resolve/refs%2Fconvert%2Fparquet/d/0.parquet",
            False,
        ),
    ],
)
def test_addresses_are_understood(
    monkeypatch: pytest.MonkeyPatch, address: str, path: str, immutable: bool
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.test")
    way = hub_transport(address, 1.0)
    assert (way.address, way.immutable) == (f"http://hub.test/{path}", immutable)


def test_a_refusal_says_how_to_log_in(hub: FaultyServer) -> None:
    hub.extra = {"X-Error-Code": "GatedRepo"}
    with pytest.raises(DataError) as stop:
        stat_remote("hf://datasets/owner/gated@main/a.jsonl", quick())
    assert "GatedRepo" in str(stop.value) and "hf auth login" in str(stop.value)
    assert len(hub.requests) == 1
