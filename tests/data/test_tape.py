"""Streams that share the reading of a compressed file get what they would read alone."""

import json
import random

import pytest
import zstandard

from bitnet.data import DataError, LocalCorpus, dealing, tape
from bitnet.data.records import Selection, Unit
from bitnet.data.tape import Tapes
from tests.data.corpora import batches, documents, module_of, same, write

TEXTS = documents("a", 500)


@pytest.fixture(params=["jsonl.zst", "json.gz"])
def source(root, request):
    write(root / f"a.{request.param}", TEXTS)
    return LocalCorpus(root=str(root)).open()["a"]


def selections(group, streams=4, first=0):
    return [Selection(first, streams, stream, 0, group) for stream in range(streams)]


@pytest.mark.parametrize("group", [1, 3, 7, 40, 1000])
def test_in_step(source, group):
    tapes = Tapes(range(4))
    shared = [tapes.records(source, Unit(0), 0, each) for each in selections(group)]
    found = [[] for _ in shared]
    for _ in TEXTS:  # one record each in turn
        for records, own in zip(shared, found, strict=True):
            own += [record for record in [next(records, None)] if record is not None]
    assert found == [list(source.read(Unit(0), each)) for each in selections(group)]
    assert sorted(r.number for own in found for r in own) == list(range(500))


def test_one_file_is_opened_once(source, monkeypatch):
    opened = []
    own = type(source).lines
    monkeypatch.setattr(
        type(source), "lines", lambda self, unit: opened.append(unit) or own(self, unit)
    )
    monkeypatch.setattr(type(source), "read", lambda *_: pytest.fail("read alone"))
    tapes = Tapes(range(4))
    shared = [tapes.records(source, Unit(0), 0, each) for each in selections(9)]
    for _ in TEXTS:
        for records in shared:
            next(records, None)
    assert opened == [Unit(0)]


def test_a_stream_that_lags_behind_reads_what_is_gone_by_itself(source, monkeypatch):
    monkeypatch.setattr(tape, "_WAITING_BYTES", 300)
    tapes = Tapes(range(4))
    first, *others = selections(5)
    assert list(tapes.records(source, Unit(0), 0, first)) == list(source.read(Unit(0), first))
    for each in others:
        assert list(tapes.records(source, Unit(0), 0, each)) == list(source.read(Unit(0), each))


def test_damage_is_told_to_every_stream_and_never_taken_for_the_end(source, root):
    (path,) = root.iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    tapes = Tapes(range(4))
    for each in selections(5):
        with pytest.raises(DataError, match=r"truncated|broken"):
            list(tapes.records(source, Unit(0), 0, each))


@pytest.mark.parametrize("first", [1, 4, 19, 20, 333, 499, 500])
def test_from_any_record_on(source, first):
    tapes = Tapes(range(4))
    for each in selections(5, first=first):
        assert list(tapes.records(source, Unit(0), 0, each)) == list(source.read(Unit(0), each))


def test_streams_in_different_passes(source):
    tapes = Tapes(range(2))
    one, two = (Selection(0, 2, stream, 0, 4) for stream in range(2))
    ahead = [list(tapes.records(source, Unit(0), epoch, one)) for epoch in range(4)]
    behind = [list(tapes.records(source, Unit(0), epoch, two)) for epoch in range(4)]
    assert ahead == [list(source.read(Unit(0), one))] * 4
    assert behind == [list(source.read(Unit(0), two))] * 4


def test_a_subset_of_the_file(root):
    lines = [{"text": text, "meta": {"set": "abc"[n % 3]}} for n, text in enumerate(TEXTS)]
    packed = zstandard.compress("".join(json.dumps(line) + "\n" for line in lines).encode())
    (root / "a.jsonl.zst").write_bytes(packed)
    corpus = LocalCorpus(
        root=str(root),
        subsets={"b": "a.jsonl.zst"},
        subset_field="meta.set",
        subset_values={"b": "b"},
    )
    source = corpus.open()["b"]
    tapes = Tapes(range(2))
    shared = [list(tapes.records(source, Unit(0), 0, Selection(0, 2, s, 0, 6))) for s in range(2)]
    assert sorted(r.text for own in shared for r in own) == sorted(TEXTS[1::3])


@pytest.mark.parametrize("workers", [0, 2, 4])
def test_the_feed_is_the_same_for_any_number_of_workers(root, workers):
    noise = random.Random(0)
    texts = [f"{text} {noise.randbytes(1000).hex()}" for text in documents("a", 900)]
    write(root / "a.jsonl.zst", texts)
    corpus = LocalCorpus(root=str(root))
    source = corpus.open()["a"]
    settings = {"streams": 4, "length": 500, "shuffle": 0.2}
    whole = module_of(corpus, {"a": 1.0}, **settings)
    expected = batches(whole, 80)
    # It deals groups here, or this test shows nothing.
    assert dealing.share_of(source, 0, 4, 50_000).group > 1
    assert same(batches(module_of(corpus, {"a": 1.0}, workers=workers, **settings), 80), expected)
    for at in (7, 33):
        whole.trained_batches = at
        again = module_of(corpus, {"a": 1.0}, workers=workers, **settings)
        again.load_state_dict(whole.state_dict())
        assert same(batches(again, 40), expected[at : at + 40])
