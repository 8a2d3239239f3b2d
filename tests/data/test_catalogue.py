"""Every corpus of the catalogue says what it is, and reads files of its schema from a stand-in."""

import json
from pathlib import Path

import pytest

from bitnet.commands.catalogue import Entry, entry_names, read_entry
from bitnet.data import DataError, HubCorpus, ListedCorpus, LocalCorpus
from bitnet.data.seen_fields import compare_fields, first_records
from tests.data.corpora import documents, write

ENTRIES = {name: read_entry(name) for name in entry_names()}
WITHOUT_DOCUMENTS = ("prepared",)
LLAMA = {"arxiv", "book", "c4", "common_crawl", "github", "stackexchange", "wikipedia"}
ASKED_FOR = (
    "redpajama redpajama_sample redpajama_v2 slimpajama dolma redpajama_dolma pile_deduped "
    "minipile fineweb_edu fineweb_edu_100bt c4 tinystories redpajama_local dolma_local "
    "slimpajama_local parquet_local pile_local redpajama_1t local pocket"
).split()


def texts_of(source):
    for unit in source.units(1 << 30):
        yield from (record.text for record in source.read(unit))


def lines(path: Path, records: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in records))


def test_the_catalogue_has_the_corpora() -> None:
    assert set(ASKED_FOR) <= set(ENTRIES)


@pytest.mark.parametrize("name", [n for n in ENTRIES if n not in WITHOUT_DOCUMENTS])
def test_every_entry_says_what_it_is(name: str) -> None:
    corpus = ENTRIES[name].corpus
    assert corpus.name == name
    assert corpus.description and corpus.license and corpus.fields
    if isinstance(corpus, HubCorpus | ListedCorpus):
        assert corpus.homepage.startswith("https://")
        assert corpus.problems() == []
        assert corpus.text_field in corpus.fields
        assert not corpus.subset_field or corpus.subset_field in corpus.fields
    assert all(tokens > 1e8 for tokens in corpus.published_tokens.values())


@pytest.mark.parametrize("name", ["redpajama", "redpajama_1t", "slimpajama", "slimpajama_6b"])
def test_the_seven_subsets_are_named_as_in_the_mix(name: str) -> None:
    assert set(ENTRIES[name].sources) == LLAMA == ENTRIES[name].corpus.published_tokens.keys()


def test_published_totals() -> None:
    def total(name: str) -> float:
        return sum(ENTRIES[name].corpus.published_tokens.values())

    assert total("redpajama_1t") == pytest.approx(1.21e12)
    assert total("redpajama") == pytest.approx(1.18926e12)  # with Dolma's books
    assert total("slimpajama") == pytest.approx(627e9, rel=0.01)
    assert total("dolma") == pytest.approx(2308e9, rel=0.01)


def made(lists: Path, name: str, addresses: list[str]) -> ListedCorpus:
    """The corpus of an entry, with lists and files that stand in for its own."""
    corpus = read_entry(name).corpus
    assert isinstance(corpus, ListedCorpus)
    lists.write_text("\n".join(addresses) + "\n")
    corpus.lists = [str(lists)]
    return corpus


def test_redpajama_reads_the_addresses_of_its_list_and_dolmas_books(root: Path) -> None:
    urls = [
        "v1/arxiv/arxiv_0.jsonl",
        "v1/c4/c4-train.00000-of-01024.jsonl",
        "v1/common_crawl/2019-30/en_head_0000.json.gz.dedup.classifier.jsonl.zst",
        "v1/github/filtered_0.sampled.jsonl",
        "v1/stackexchange/stackexchange.jsonl",
        "v1/wikipedia/wiki.jsonl",
    ]
    for url in urls:
        write(root / url, documents(url.split("/")[1], 3))
    write(root / "dolma-v1_7/books/books-0000.json.gz", documents("gutenberg", 4))
    (root / "dolma.txt").write_text(
        "dolma-v1_7/books/books-0000.json.gz\ndolma-v1_7/wiki/wiki-0000.json.gz\n"
    )
    corpus = made(root / "urls.txt", "redpajama", urls)
    corpus.substitutes["book"].lists = [str(root / "dolma.txt")]
    sources = corpus.open(LLAMA)
    assert sources.keys() == LLAMA
    assert list(texts_of(sources["book"])) == documents("gutenberg", 4)
    for name in LLAMA - {"book"}:
        assert list(texts_of(sources[name])) == documents(name, 3)
    (note,) = corpus.notes()
    assert note.startswith("book: Dolma v1.7's books (Project Gutenberg, 5.26B tokens) stands in")
    published = made(root / "urls.txt", "redpajama_as_published", urls)
    assert published.notes() == [] and published.open().keys() == LLAMA - {"book"}
    with pytest.raises(DataError, match=r"data=redpajama puts Dolma's books .*llama_without/book"):
        published.open(LLAMA)


def test_redpajama_v2_reads_tags_and_raw_content(root: Path) -> None:
    corpus = made(root / "tags.txt", "redpajama_v2", ["2023-06/0000/en_head"])
    assert corpus.address.count("{}") == 1
    corpus.address = f"{root}/{{}}.jsonl"
    records = [{"raw_content": text, "digest": "sha1:0"} for text in documents("en", 3)]
    lines(root / "2023-06/0000/en_head.jsonl", records)
    assert list(texts_of(corpus.open()["en"])) == documents("en", 3)


def test_dolma_finds_every_folder_of_its_list(root: Path) -> None:
    folders = (
        "books c4-filtered cc_en_head cc_en_middle cc_en_tail cc_news_head cc_news_middle "
        "cc_news_tail falcon-refinedweb-filtered pes2o proof_pile_2-algebraic_stack "
        "proof_pile_2-open_web_math reddit redpajama-arxiv redpajama-stackexchange starcoder "
        "tulu_flan wiki wikiref_megawika"
    ).split()
    urls = [f"https://olmo-data.org/dolma-v1_7/{each}/{each}-0000.json.gz" for each in folders]
    sources = made(root / "v1_7.txt", "dolma", urls).open()
    taken = [file.location for source in sources.values() for file in source.files]
    assert sorted(taken) == sorted(urls)
    assert sources.keys() == ENTRIES["dolma"].corpus.published_tokens.keys()


SLIM = [{"text": t, "meta": {"redpajama_set_name": "RedPajamaC4"}} for t in documents("c4", 4)]
PILE = [{"text": t, "meta": {"pile_set_name": "Wikipedia (en)"}} for t in documents("w", 4)]
ROW = {"id": "1", "source": "common-crawl", "added": "", "created": "", "metadata": {}}


@pytest.mark.parametrize(
    ("name", "file", "records", "source"),
    [
        ("slimpajama_local", "train/chunk1/0.jsonl", SLIM, "c4"),
        ("pile_local", "00.jsonl", PILE, "wikipedia"),
        ("dolma_local", "web/0.json", [{**ROW, "text": t} for t in documents("d", 4)], "web"),
        ("redpajama_local", "c4.jsonl", [{"text": t, "meta": 1} for t in documents("c", 4)], "c4"),
    ],
)
def test_local_folders_are_read_in_each_ones_schema(
    root: Path, name: str, file: str, records: list[dict], source: str
) -> None:
    lines(root / file, records)
    corpus = read_entry(name).corpus
    assert isinstance(corpus, LocalCorpus)
    corpus.root = str(root)
    assert corpus.problems() == []
    found = corpus.open()[source]
    assert list(texts_of(found)) == [record["text"] for record in records]
    _, absent, more = compare_fields(first_records(found), list(corpus.fields))
    assert (absent, more) == ([] if name != "redpajama_local" else ["red_pajama_subset"], [])


def test_parquet_with_a_column_of_another_name(root: Path) -> None:
    write(root / "web" / "0.parquet", documents("a", 12))
    corpus = read_entry("parquet_local").corpus
    assert isinstance(corpus, LocalCorpus)
    corpus.root = str(root)
    source = corpus.open()["web"]
    assert list(texts_of(source)) == documents("a", 12)
    assert compare_fields(first_records(source), ["text", "url"]) == (
        ["text", "id"],
        ["url"],
        ["id"],
    )
    corpus.text_field = "content"
    with pytest.raises(DataError, match="the text field 'content' is unknown"):
        list(texts_of(corpus.open()["web"]))


def test_an_entry_knows_how_it_is_reached_and_what_it_needs() -> None:
    def about(entry: Entry) -> tuple[str, str, tuple[str, ...]]:
        return entry.reached, entry.where, entry.needed

    assert about(ENTRIES["c4"]) == ("hub", "allenai/c4", ())
    assert about(ENTRIES["dolma_local"]) == ("folder", "data.root=…", ("root",))
    assert about(ENTRIES["pocket"]) == ("harvest", "", ())
    assert ENTRIES["redpajama"].reached == "lists"
