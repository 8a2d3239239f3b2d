"""All formats and layouts give the same documents, wherever the bytes come from."""

import fsspec
import pytest

from bitnet.data import DataError, HubCorpus, LocalCorpus
from bitnet.data.readers import SUFFIXES
from bitnet.data.records import Selection, Unit
from tests.data.corpora import batches, documents, module_of, same, write

TEXTS = [*documents("a", 40), "ein Satz mit Ümlauten\u2028und Zeilentrenner"]


def texts_of(source):
    for file in range(len(source.files)):
        yield from (record.text for record in source.read(Unit(file)))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_documents(root, suffix):
    write(root / f"a{suffix}", TEXTS)
    source = LocalCorpus(root=str(root)).open()["a"]
    assert [text.strip("\n") for text in texts_of(source)] == TEXTS


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("selection", [Selection(7), Selection(0, 4, 3), Selection(13, 5, 1)])
def test_every_format_can_be_read_from_anywhere(root, suffix, selection):
    write(root / f"a{suffix}", TEXTS)
    source = LocalCorpus(root=str(root)).open()["a"]
    found = [(record.number, record.text.strip("\n")) for record in source.read(Unit(0), selection)]
    assert found == [(n, text) for n, text in enumerate(TEXTS) if selection.wants(n)]


def test_a_subset_is_a_file_a_folder_or_a_pattern(root):
    write(root / "x" / "deep" / "1.jsonl", TEXTS[:10])
    write(root / "x" / "2.parquet", TEXTS[10:20])
    write(root / "y.jsonl.gz", TEXTS)
    (root / "x" / "README").write_text("not data")
    (root / "x" / ".hidden.jsonl").write_text("{")
    assert sorted(LocalCorpus(root=str(root)).open()) == ["x", "y"]
    assert set(texts_of(LocalCorpus(root=str(root)).open()["x"])) == set(TEXTS[:20])
    named = LocalCorpus(root=str(root), subsets={"p": "x/*.parquet", "q": "y.jsonl.gz"}).open()
    assert list(texts_of(named["p"])) == TEXTS[10:20]
    assert list(texts_of(named["q"])) == TEXTS


def test_names_of_files_do_not_depend_on_the_machine(root):
    write(root / "x" / "1.jsonl", TEXTS)
    (file,) = LocalCorpus(root=str(root)).open()["x"].files
    assert file.name == "x/1.jsonl"
    assert file.size == (root / "x" / "1.jsonl").stat().st_size


def in_memory(folder, local):
    memory = fsspec.filesystem("memory")
    address = f"memory://{folder}/{local.name}"
    memory.pipe(address, local.read_bytes())
    return address


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.zst", ".jsonl.gz", ".parquet"])
def test_a_web_corpus_feeds_the_same_samples_as_a_local_one(root, suffix):
    address = in_memory("corpus", write(root / f"a{suffix}", TEXTS))
    local = module_of(LocalCorpus(root=str(root)), {"a": 1.0}, streams=2)
    remote = module_of(HubCorpus(subsets={"a": [address]}), {"a": 1.0}, streams=2)
    expected = batches(local, 40)
    assert same(batches(remote, 20), expected[:20])
    remote.trained_batches = 15
    again = module_of(HubCorpus(subsets={"a": [address]}), {"a": 1.0}, streams=2)
    again.load_state_dict(remote.state_dict())
    assert same(batches(again, 20), expected[15:35])


def test_patterns_of_a_hub_corpus_are_resolved(root):
    in_memory("many", write(root / "1.jsonl", TEXTS[:5]))
    in_memory("many", write(root / "2.jsonl", TEXTS[5:]))
    corpus = HubCorpus(subsets={"a": ["memory://many/*.jsonl"]})
    assert list(texts_of(corpus.open()["a"])) == TEXTS
    with pytest.raises(DataError, match=r"data\.subsets\.a: 'memory://many/\*\.parquet'"):
        HubCorpus(subsets={"a": ["memory://many/*.parquet"]}).open()


def test_an_address_list_of_another_name_is_refused_when_read(root):
    (root / "list.txt").write_text("https://data.example/1.jsonl\n")
    address = in_memory("lists", root / "list.txt")
    with pytest.raises(DataError, match="list of web addresses"):
        list(texts_of(HubCorpus(subsets={"a": [address]}).open()["a"]))


def test_a_missing_remote_file_and_an_unknown_format(root):
    with pytest.raises(DataError, match=r"memory://none/a\.jsonl: cannot be read"):
        list(texts_of(HubCorpus(subsets={"a": ["memory://none/a.jsonl"]}).open()["a"]))
    with pytest.raises(DataError, match=r"'memory://none/a\.csv' is not one of \.jsonl"):
        HubCorpus(subsets={"a": ["memory://none/a.csv"]}).open()


def test_a_cut_remote_file_never_ends_in_silence(root):
    path = write(root / "a.jsonl.zst", documents("a", 500))
    path.write_bytes(path.read_bytes()[:-50])
    address = in_memory("cut", path)
    with pytest.raises(DataError, match="truncated zstd"):
        list(texts_of(HubCorpus(subsets={"a": [address]}).open()["a"]))
