"""Files read in the worker processes of a DataLoader, forked from a process that read before."""

import multiprocessing
import pickle
from collections.abc import Iterator

import pytest
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from bitnet.data import Source
from bitnet.data.remote import open_remote
from bitnet.data.sources import StoredFile
from tests.data.corpora import documents, json_lines
from tests.data.remote.server import FaultyServer
from tests.data.remote.settings import noise, quick

TEXTS = documents("c4", 600)


class Texts(IterableDataset[str]):
    """The documents of a source, its units dealt to the workers."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def __iter__(self) -> Iterator[str]:
        worker = get_worker_info()
        assert worker is not None
        for unit in self._source.units(10_000)[worker.id :: worker.num_workers]:
            for record in self._source.read(unit):
                yield record.text or ""


def test_workers_read_while_the_network_fails(server: FaultyServer) -> None:
    address = server.add("c4.jsonl", json_lines(TEXTS))
    with open_remote(address, quick()) as parent:
        parent.read(20_000)  # connections, threads and locks that the children must not use
        count = [0]

        def fault(path: str) -> str:
            count[0] += 1
            return ("cut", "", "503", "")[count[0] % 4]

        server.fault = fault
        source = Source("c4", (StoredFile("c4.jsonl", address, 0, quick()),))
        assert pickle.loads(pickle.dumps(source)) == source
        loader = DataLoader(Texts(source), batch_size=None, num_workers=2)
        assert sorted(loader) == sorted(TEXTS)
        assert parent.read(10) == json_lines(TEXTS)[20_000:20_010]


def _goes_on(file: object, wanted: bytes) -> None:
    assert file.read() == wanted  # type: ignore[attr-defined]


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_open_file_can_be_taken_into_a_fork(server: FaultyServer, ahead: int) -> None:
    content = noise(300_000)
    with open_remote(server.add("file", content), quick(prefetch_chunks=ahead)) as file:
        start = file.read(20_000)
        child = multiprocessing.get_context("fork").Process(
            target=_goes_on, args=(file, content[20_000:])
        )
        child.start()
        child.join(20)
        assert child.exitcode == 0
        assert start + file.read() == content
