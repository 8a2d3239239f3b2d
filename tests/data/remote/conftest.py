from collections.abc import Iterator
from pathlib import Path

import pytest

from bitnet.data.remote import pins
from tests.data.remote.server import FaultyServer


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or fills the cache of the machine, asks its proxies, or knows of the others."""
    monkeypatch.setattr(pins, "_seen", {})  # ports, and so addresses, are used again
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BITNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    running = FaultyServer().start()
    yield running
    running.stop()
