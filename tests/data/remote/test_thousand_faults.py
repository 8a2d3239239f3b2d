"""The bar of this room: whatever the network does, every document comes exactly once, in order."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitnet.data import DataError, Source
from bitnet.data.sources import StoredFile
from tests.data.corpora import write
from tests.data.remote.server import FaultyServer
from tests.data.remote.settings import quick

FAULTS = 1000
COMMON = ("500", "502", "503", "429", "cut", "reset", "short", "unending", "whole", "other range")
RARE = ("stall", "silence")
NAMES = ("plain.jsonl", "packed.jsonl.gz", "frames.jsonl.zst", "table.parquet", "prose.txt")


class Trouble:
    """Decides, from a seed, about every answer; half of them go wrong."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._lock = threading.Lock()

    def __call__(self, path: str) -> str:
        with self._lock:
            if self._dice.random() < 0.5:
                return ""
            return self._dice.choice(COMMON if self._dice.random() < 0.97 else RARE)


def texts_of(name: str, count: int = 150) -> list[str]:
    dice = random.Random(name)
    return [f"[{name}:{n}] {dice.randbytes(200).hex()}" for n in range(count)]


def stored_corpus(server: FaultyServer, folder: Path, network: object) -> Source:
    for name in NAMES:
        server.add(name, write(folder / name, texts_of(name)).read_bytes(), etag=f'"{name}"')
    files = [StoredFile(name, server.address(name), 0, network) for name in NAMES]  # type: ignore[arg-type]
    return Source("corpus", tuple(files))


def delivered(source: Source) -> Iterator[tuple[str, str]]:
    for unit in source.units(20_000):
        for record in source.read(unit):
            assert record.text is not None, record.problem
            yield source.files[unit.file].name, record.text.strip()


def test_a_thousand_faults_lose_and_repeat_nothing(server: FaultyServer, tmp_path: Path) -> None:
    source = stored_corpus(server, tmp_path / "files", quick(timeout_seconds=0.1))
    wanted = [(name, text) for name in NAMES for text in texts_of(name)]
    assert len(source.units(20_000)) > len(NAMES)  # the plain file is read in ranges
    server.fault = Trouble(seed=7)
    epochs = 0
    while sum(server.injected.values()) < FAULTS:
        assert list(delivered(source)) == wanted
        epochs += 1
    assert set(server.injected) == {*COMMON, *RARE}
    assert epochs > 1


def test_or_the_run_stops_with_a_clear_message(server: FaultyServer, tmp_path: Path) -> None:
    network = quick(patience_seconds=0.05, attempts=5)
    source = stored_corpus(server, tmp_path / "files", network)
    seen: list[tuple[str, str]] = []
    server.fault = lambda path: "503" if len(seen) > 200 else ""
    with pytest.raises(DataError) as stop:
        for item in delivered(source):
            seen.append(item)
    assert "stays unreachable after" in str(stop.value) and "HTTP 503" in str(stop.value)
    assert "\n" not in str(stop.value)
    wanted = [(name, text) for name in NAMES for text in texts_of(name)]
    assert seen == wanted[: len(seen)]
