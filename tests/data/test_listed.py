"""Corpora reached by lists of addresses, and subsets told apart by a field."""

import json
import logging
from pathlib import Path

import fsspec
import pytest

from bitnet.data import DataError, HubCorpus, ListedCorpus, LocalCorpus
from bitnet.data.listed import Substitute
from tests.data.corpora import batches, documents, module_of, write

DOLMA = Path(__file__).parents[3] / "shared" / "data" / "dolma"
SETS = {"web": "RedPajamaCommonCrawl", "code": "RedPajamaGithub", "books": "RedPajamaBook"}


def texts_of(source):
    for unit in source.units(1 << 30):
        yield from (record.text for record in source.read(unit))


@pytest.fixture
def lists(root: Path) -> Path:
    """A list of files beside the files, as a makers' server would hold them."""
    names = []
    for subset in ("arxiv", "c4"):
        for part in range(3):
            name = f"v1/{subset}/{part}.jsonl.zst"
            write(root / name, documents(f"{subset}{part}", 8))
            names.append(name)
    write(root / "v1/wikipedia/wiki.jsonl", documents("wiki", 40))
    names.append("v1/wikipedia/wiki.jsonl")
    (root / "urls.txt").write_text("\n".join(reversed(names)) + "\n\n")
    write(root / "other" / "books" / "0.json.gz", documents("gutenberg", 40))
    (root / "other.txt").write_text("other/books/0.json.gz\nother/wiki/0.json.gz\n")
    return root / "urls.txt"


def listed(lists: Path, **settings) -> ListedCorpus:
    subsets = {name: [f"*/{name}/*"] for name in ("arxiv", "c4", "wikipedia")}
    return ListedCorpus(**{"name": "made", "lists": [str(lists)], "subsets": subsets, **settings})


BOOKS_GONE = {"withdrawn": {"book": "taken back in 2023"}}


def stand_in(lists: Path) -> dict[str, Substitute]:
    other = str(lists.parent / "other.txt")
    return {"book": Substitute("books of another corpus", [other], files=["*/books/*"])}


def test_subsets_are_patterns_over_the_lines_of_a_list(lists: Path) -> None:
    sources = listed(lists).open()
    assert list(sources) == ["arxiv", "c4", "wikipedia"]
    assert [file.name for file in sources["c4"].files] == [f"c4/{n}.jsonl.zst" for n in range(3)]
    expected = [text for part in range(3) for text in documents(f"c4{part}", 8)]
    assert list(texts_of(sources["c4"])) == expected
    assert listed(lists).problems() == listed(lists).notes() == []


def test_only_the_sources_of_the_mix_are_looked_for(lists: Path) -> None:
    corpus = listed(lists, subsets={"c4": ["*/c4/*"], "gone": ["*/nowhere/*"]})
    assert list(corpus.open(["c4"])) == ["c4"]
    with pytest.raises(DataError, match=r"data\.subsets\.gone: no address of 7 matches"):
        corpus.open()
    with pytest.raises(DataError, match=r"mix: 'c44' is unknown .*did you mean 'c4'"):
        corpus.open(["c44"])


def test_a_pattern_that_matches_nothing_is_told_its_nearest_folder(lists: Path) -> None:
    corpus = listed(lists, subsets={"c4": ["*/c4_/*"]})
    with pytest.raises(DataError, match=r"'\*/c4_/\*' is unknown .*did you mean '\*/c4/\*'"):
        corpus.open()


def test_lines_can_be_tags(root: Path) -> None:
    write(root / "documents/2023-06/0000/en_head.json.gz", documents("en", 5))
    (root / "tags.txt").write_text("2023-06/0000/en_head\n")
    address = f"{root}/documents/{{}}.json.gz"
    corpus = ListedCorpus(
        lists=[str(root / "tags.txt")], address=address, subsets={"en": ["*/en_*"]}
    )
    assert list(texts_of(corpus.open()["en"])) == documents("en", 5)


def test_a_withdrawn_subset_is_refused_unless_something_stands_in_for_it(lists: Path) -> None:
    corpus = listed(lists, **BOOKS_GONE)
    assert "book" not in corpus.open()  # nobody asked for it by name
    with pytest.raises(
        DataError,
        match=r"data\.subsets\.book: taken back in 2023; say in data\.substitutes\.book .* mix "
        "that does not name 'book'",
    ):
        corpus.open(["book", "c4"])


def test_a_substitute_is_said_aloud(lists: Path, caplog: pytest.LogCaptureFixture) -> None:
    corpus = listed(lists, substitutes=stand_in(lists), **BOOKS_GONE)
    with caplog.at_level(logging.WARNING):
        sources = corpus.open(["book", "c4"])
    note = "book: books of another corpus stands in for it; taken back in 2023"
    assert corpus.notes() == [note] and note in caplog.text
    assert list(texts_of(sources["book"])) == documents("gutenberg", 40)
    caplog.clear()
    corpus.open(["book"])  # by another rank, worker or step of the same process
    assert not caplog.text


def test_a_listed_corpus_trains(lists: Path) -> None:
    corpus = listed(lists, substitutes=stand_in(lists), **BOOKS_GONE)
    weights = {"c4": 0.5, "wikipedia": 0.25, "book": 0.25}
    module = module_of(corpus, weights, streams=2, length=16)
    found = batches(module, 12)
    assert {int(source) for batch in found for source in batch["source"]} == {0, 1, 2}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "the list of addresses is empty"),
        ("<html>\n", ":1: '<html>' is not an address"),
        ("a/1.jsonl\nsome words of prose\n", ":2: 'some words of prose' is not an address"),
    ],
)
def test_what_is_no_list_is_refused(lists: Path, content: str, problem: str) -> None:
    lists.write_text(content)
    with pytest.raises(DataError) as error:
        listed(lists).open()
    assert problem in str(error.value) and "\n" not in str(error.value)


def test_a_listed_file_of_no_known_format_is_refused(lists: Path) -> None:
    lists.write_text("v1/c4/1.csv\n")
    with pytest.raises(DataError, match=r"data\.subsets\.c4: '1\.csv' is not one of \.jsonl"):
        listed(lists).open(["c4"])


def test_problems_of_the_settings() -> None:
    corpus = ListedCorpus(address="x", withdrawn={"a": "gone"}, subsets={"a": ["*"]})
    corpus.substitutes = {"b": Substitute()}
    lines = "\n".join(corpus.problems())
    for part in (
        "lists: is empty",
        "address: 'x' has no {}",
        "substitutes.b.lists: is empty",
        "substitutes: 'b' is unknown (there is: a)",
        "subsets: 'a' is withdrawn",
    ):
        assert part in lines
    field = LocalCorpus(root="x", subset_values={"a": "1"}, shared_files=["y"])
    assert field.problems() == [
        "subset_values: is set, but subset_field is empty",
        "shared_files: is set, but subset_field is empty",
    ]
    field = LocalCorpus(root="x", subset_field="m", subsets={"a": "b"}, subset_values={})
    assert len(field.problems()) == 2
    twice = LocalCorpus(root="x", subset_field="m", subset_values={"a": "1", "b": "1"})
    assert twice.problems() == ["subset_values: two sources have the value '1'"]


def shared(path: Path, count: int = 60) -> Path:
    """A file in SlimPajama's schema: three subsets in turn, metadata that drifts."""
    names = list(SETS)
    lines = [
        {
            "text": f"[{names[n % 3]}:{n}] some words",
            "meta": {"redpajama_set_name": SETS[names[n % 3]], "t": ("", 1, None)[n % 3]},
        }
        for n in range(count)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_subsets_can_be_told_apart_by_a_field(root: Path) -> None:
    shared(root / "train" / "chunk1" / "0.jsonl")
    shared(root / "test" / "0.jsonl", 6)
    field = {"subset_field": "meta.redpajama_set_name", "subset_values": SETS}
    everything = LocalCorpus(root=str(root), **field).open()
    assert list(everything) == ["books", "code", "web"]
    assert len(list(texts_of(everything["web"]))) == 22
    corpus = LocalCorpus(root=str(root), shared_files=["train"], **field)
    for name, source in corpus.open().items():
        assert all(f"[{name}:" in text for text in texts_of(source))
    assert list(corpus.open(["code"])) == ["code"]
    assert corpus.size_of(corpus.open()["code"]) == 0.0  # its files are those of others too
    module = module_of(corpus, {"web": 0.5, "code": 0.5}, streams=2, length=8)
    for batch in batches(module, 10):
        for sample, source in zip(batch["tokens"], batch["source"], strict=True):
            text = module.tokenizer.decode(sample.tolist())
            assert ["web", "code"][int(source)] not in text
    with pytest.raises(DataError, match=r"data\.shared_files\[0\]: nothing readable at 'trian'"):
        LocalCorpus(root=str(root), shared_files=["trian"], **field).open()


def test_the_field_works_for_listed_and_remote_files(root: Path, lists: Path) -> None:
    path = shared(root / "v1" / "mixed" / "0.jsonl")
    lists.write_text("v1/mixed/0.jsonl\n")
    field = {"subset_field": "meta.redpajama_set_name", "subset_values": SETS}
    corpus = ListedCorpus(lists=[str(lists)], **field)
    assert corpus.problems() == []
    assert len(list(texts_of(corpus.open(["books"])["books"]))) == 20
    fsspec.filesystem("memory").pipe("/slim/train/0.jsonl", path.read_bytes())
    hub = HubCorpus(repository="memory://slim", shared_files=["train/*.jsonl"], **field)
    assert hub.problems() == []
    assert len(list(texts_of(hub.open()["web"]))) == 20


@pytest.mark.skipif(not DOLMA.is_dir(), reason="shared/data is not on this machine")
def test_dolma_as_stored_by_folder_and_by_source() -> None:
    by_file = LocalCorpus(root=str(DOLMA)).open()
    assert {name: len(list(texts_of(source))) for name, source in by_file.items()} == {
        "cc_en_head": 20,
        "cc_main_2019_30": 697,
    }
    values = {"web": "common-crawl", "tests": "test_gz"}
    by_field = LocalCorpus(root=str(DOLMA), subset_field="source", subset_values=values).open()
    counts = {name: len(list(texts_of(source))) for name, source in by_field.items()}
    assert counts == {"web": 20, "tests": 697}


def remote_folder(name: str, files: dict[str, bytes]) -> str:
    memory = fsspec.filesystem("memory")
    for path, content in files.items():
        memory.pipe(f"/{name}/{path}", content)
    return f"memory://{name}"


def test_a_repository_of_address_lists_is_refused(root: Path) -> None:
    urls = b"https://data.example/1.jsonl\nhttps://data.example/2.jsonl\n"
    repository = remote_folder("only_lists", {"urls/c4.txt": urls, "README.md": b"#"})
    with pytest.raises(DataError, match=r"'urls/c4\.txt' is a list of web addresses"):
        HubCorpus(repository=repository, subsets={"c4": ["urls/*.txt"]}).open()
    with pytest.raises(DataError, match=r"holds only lists of web addresses \(urls/c4\.txt, …\)"):
        HubCorpus(repository=repository, subsets={"c4": ["data/*.parquet"]}).open()
    (root / "plain.txt").write_bytes(urls)  # under another name it is known by what it holds
    with pytest.raises(DataError, match="holds a list of web addresses"):
        list(texts_of(LocalCorpus(root=str(root)).open()["plain"]))


def test_a_remote_folder_gives_sizes_and_only_what_the_mix_names(root: Path) -> None:
    stored = write(root / "a.jsonl.zst", documents("a", 9)).read_bytes()
    repository = remote_folder("bucket", {"a/0.jsonl.zst": stored, "a/1.jsonl.zst": stored})
    subsets = {"a": ["a/*.zst"], "absent": ["b/*.zst"]}
    corpus = HubCorpus(repository=repository, subsets=subsets)
    (source,) = corpus.open(["a"]).values()
    assert [file.size for file in source.files] == [len(stored)] * 2
    assert source.files[0].network is corpus.network
    assert list(texts_of(source)) == documents("a", 9) * 2
    with pytest.raises(
        DataError, match=r"data\.subsets\.absent: 'memory://bucket/b/\*\.zst' match"
    ):
        corpus.open()
    corpus.reported = "gone since 2026"
    corpus.repository = "nosuchscheme://x"
    with pytest.raises(DataError, match="gone since 2026"):
        corpus.open(["a"])
    corpus.network.attempts = 0
    assert [line.split(":")[0] for line in corpus.problems()] == ["network.attempts"]
