"""Large plain files are cut into ranges, so a subset of one file feeds many readers."""

import json

import pytest

from bitnet.data import DataError, LocalCorpus, dealing
from bitnet.data.records import Selection, Unit
from tests.data.corpora import batches, documents, module_of, same, write

TEXTS = documents("one", 600)


@pytest.fixture
def one_file(root):
    return write(root / "one.jsonl", TEXTS)


def source_of(root):
    return LocalCorpus(root=str(root)).open()["one"]


@pytest.mark.parametrize("range_bytes", [1, 37, 500, 4096, 10**9])
def test_the_ranges_of_a_file_hold_every_record_once(root, one_file, range_bytes):
    source = source_of(root)
    units = source.units(range_bytes)
    assert len(units) == -(-one_file.stat().st_size // range_bytes)
    texts = [record.text for unit in units for record in source.read(unit)]
    assert texts == TEXTS


def test_compressed_files_and_tables_are_not_cut(root):
    for suffix in ("jsonl.zst", "jsonl.gz", "parquet", "txt"):
        write(root / "one" / f"a.{suffix}", TEXTS[:50])
    source = source_of(root)
    assert source.units(100) == tuple(Unit(number) for number in range(4))


def test_reading_goes_on_at_the_byte_of_any_record(root, one_file):
    source = source_of(root)
    for unit in source.units(7000):
        whole = list(source.read(unit))
        for at in (1, len(whole) // 2, len(whole) - 1):
            selection = Selection(whole[at].number, byte=whole[at].begins)
            assert list(source.read(unit, selection)) == whole[at:]
            assert whole[at].begins == whole[at - 1].consumed


def test_a_range_names_the_line_of_the_whole_file(root, one_file):
    source = source_of(root)
    lines = one_file.read_text().splitlines()
    for unit in source.units(5000):
        for record in source.read(unit):
            line = int(source.place(unit, record.number).removeprefix("one.jsonl:"))
            assert json.loads(lines[line - 1])["text"] == record.text


def test_a_broken_line_in_a_range_is_named_by_its_line(root, monkeypatch):
    monkeypatch.setattr(dealing, "SMALLEST_RANGE", 1000)
    path = write(root / "one.jsonl", TEXTS)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[437] = b'{"text": \n'
    path.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match=r"^one\.jsonl:438: broken JSON"):
        batches(module_of(LocalCorpus(root=str(root)), {"one": 1.0}), 2000)


def test_streams_share_one_file_without_reading_all_of_it(root, one_file, monkeypatch):
    monkeypatch.setattr(dealing, "SMALLEST_RANGE", 1000)
    source = source_of(root)
    shares = [dealing.share_of(source, stream, 4, 5000) for stream in range(4)]
    assert all(share.modulus == 1 for share in shares)
    dealt = [unit for share in shares for unit in share.units]
    whole = source.units(dealing.range_bytes_for(source.size, 4))
    assert sorted(dealt, key=lambda unit: unit.start) == list(whole)
    assert max(sum(share.sizes) for share in shares) < 1.1 * source.size / 4


def test_a_small_file_is_shared_record_by_record(root, one_file):
    share = dealing.share_of(source_of(root), 1, 4, 5000)
    assert (share.units, share.modulus) == ((Unit(0),), 4)


@pytest.mark.parametrize("at", [5, 50, 51, 130])
def test_resume_within_ranges(root, one_file, monkeypatch, at):
    monkeypatch.setattr(dealing, "SMALLEST_RANGE", 1000)
    corpus = LocalCorpus(root=str(root))
    settings = {"shuffle": 0.004, "length": 64}
    whole = module_of(corpus, {"one": 1.0}, **settings)
    expected = batches(whole, 200)
    whole.trained_batches = at
    state = whole.state_dict()
    cursors = [cursor["one"] for cursor in state["cursors"].values()]
    assert any(cursor["byte"] for cursor in cursors) or at < 50
    again = module_of(corpus, {"one": 1.0}, workers=2, **settings)
    again.load_state_dict(state)
    assert same(batches(again, 60), expected[at : at + 60])
    assert again.feed().fingerprint() == whole.feed().fingerprint()


def test_a_document_longer_than_many_ranges_leaves_no_stream_empty(root, monkeypatch):
    monkeypatch.setattr(dealing, "SMALLEST_RANGE", 1000)
    texts = [*TEXTS[:40], "x" * 300_000, *TEXTS[40:80]]
    write(root / "one.jsonl", texts)
    source = source_of(root)
    shares = [dealing.share_of(source, stream, 8, 5000) for stream in range(8)]
    assert all(share.units == (Unit(0),) and share.modulus == 8 for share in shares)
    module = module_of(LocalCorpus(root=str(root)), {"one": 1.0}, streams=8, fraction=1e-9)
    assert len(batches(module, 100)) == 100
    write(root / "two.jsonl", [*TEXTS, "x" * 100_000])
    source = LocalCorpus(root=str(root)).open()["two"]
    cut = source.units(5000)
    units = dealing.share_of(source, 0, 1, 5000).units
    kept = dealing._beginning_records(source, 5000)
    assert len(kept) < len(cut) and units
    assert [r.text for u in kept for r in source.read(u)] == [*TEXTS, "x" * 100_000]
