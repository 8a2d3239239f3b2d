"""What stands in the shards: every document once, on its side, whole, with its origin."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer as RawTokenizer
from tokenizers import models, pre_tokenizers

from bitnet.data import LocalCorpus, Tokenizer
from bitnet.data.documents import Kind, judge
from bitnet.data.prepared.layout import source_folder
from bitnet.data.readers import json_lines
from bitnet.data.sources import Source
from bitnet.data.validation import held_out_ids
from tests.data.corpora import BYTES, documents, seven_subsets, write
from tests.data.prepared.making import (
    FRACTION,
    documents_on_disk,
    files_of,
    make,
    opened,
    record,
    settings,
    shards_on_disk,
)


def texts_by_unit(source: Source, range_bytes: int) -> Iterator[dict[Kind, dict[int, str]]]:
    for unit in source.units(range_bytes):
        found: dict[Kind, dict[int, str]] = {Kind.TRAIN: {}, Kind.HELD_OUT: {}}
        for entry in source.read(unit):
            kind = judge(entry, FRACTION).kind
            assert entry.text is not None
            found[kind][entry.number] = entry.text
        yield found


def test_every_document_of_every_layout_is_there_once(tmp_path: Path) -> None:
    sources = seven_subsets(tmp_path / "corpus").open()
    manifest = make(tmp_path / "out", sources)
    assert list(manifest.shards) == sorted(sources)
    assert len(manifest.shards["github"]) > 3  # a plain file is cut into ranges
    for name, source in sources.items():
        units = list(texts_by_unit(source, 4000))
        stems = shards_on_disk(tmp_path / "out", name)
        assert len(stems) == len(units) == len(manifest.shards[name])
        for stem, wanted in zip(stems, units, strict=True):
            assert documents_on_disk(stem, "train") == wanted[Kind.TRAIN]
            held_out = documents_on_disk(stem, "held_out")
            assert list(held_out.items()) == list(wanted[Kind.HELD_OUT].items())


def test_training_documents_are_shuffled_by_key_and_held_out_ones_are_not(tmp_path: Path) -> None:
    write(tmp_path / "corpus" / "web.jsonl", documents("web", 400))
    sources = LocalCorpus(root=str(tmp_path / "corpus")).open()
    whole = settings(range_bytes=10**9)
    make(tmp_path / "a", sources, how=whole)
    make(tmp_path / "b", sources, how=whole)
    make(tmp_path / "c", sources, how=settings(range_bytes=10**9, shuffle=False))
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    (shuffled,), (straight,) = (shards_on_disk(tmp_path / each, "web") for each in "ac")
    order = list(documents_on_disk(shuffled, "train"))
    in_order = list(documents_on_disk(straight, "train"))
    assert order != in_order == sorted(order)
    assert sum(a == b for a, b in zip(order, in_order, strict=True)) < 10
    assert list(documents_on_disk(shuffled, "held_out")) == sorted(
        documents_on_disk(shuffled, "held_out")
    )


def test_held_out_tokens_are_those_of_a_stream(tmp_path: Path) -> None:
    sources = seven_subsets(tmp_path / "corpus").open()
    make(tmp_path / "out", sources)
    prepared = opened(tmp_path / "out")
    for name, source in sources.items():
        for count in (1, 100, 10**9):
            streamed = held_out_ids(source, BYTES, FRACTION, count)
            assert prepared.held_out_ids(name, count).tolist() == streamed.tolist()


def test_a_document_in_parts_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "LINE_BYTES", 512)
    texts = documents("web", 20)
    texts[3] = "x" + " long one" * 500 + " end"
    texts[7] = "y" + " another" * 300
    sources = LocalCorpus(root=str(write(tmp_path / "corpus" / "web.jsonl", texts).parent)).open()
    make(tmp_path / "out", sources, how=settings(range_bytes=10**9))
    (stem,) = shards_on_disk(tmp_path / "out", "web")
    found = documents_on_disk(stem, "train") | documents_on_disk(stem, "held_out")
    assert found == dict(enumerate(texts))


def test_a_document_that_breaks_in_a_later_part_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "LINE_BYTES", 512)
    texts = documents("web", 12)
    lines = [json.dumps({"text": text}).encode() for text in texts]
    lines[5] = json.dumps({"text": "z" + " broken" * 400}).encode()[:-300] + b"\xff\xfe" * 100
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "web.jsonl").write_bytes(b"\n".join(lines))
    sources = LocalCorpus(root=str(tmp_path / "corpus")).open()
    how = settings(range_bytes=10**9, stop_at_broken=False)
    make(tmp_path / "out", sources, how=how)
    (stem,) = shards_on_disk(tmp_path / "out", "web")
    found = documents_on_disk(stem, "train") | documents_on_disk(stem, "held_out")
    assert found == {n: text for n, text in enumerate(texts) if n != 5}
    about = record(stem)
    assert about["broken"] == 1 and about["faults"][0].startswith("web.jsonl:6: ")


def test_counts_of_the_manifest_are_those_of_the_files(tmp_path: Path) -> None:
    texts = [*documents("web", 50), "", "  \n", *documents("more", 50)]
    write(tmp_path / "corpus" / "web.jsonl", texts)
    sources = LocalCorpus(root=str(tmp_path / "corpus")).open()
    make(tmp_path / "out", sources)
    source = opened(tmp_path / "out").sources["web"]
    assert (source.documents + source.held_out_documents, source.empty) == (100, 2)
    size = sum(len(text.encode()) for text in texts if text.strip())
    assert source.tokens + source.held_out_tokens == size + 100  # a token a byte, an end each
    plain = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert plain["corpus"] == "test" and plain["notes"] == ["a note"] and plain["license"] == "CC0"
    assert plain["sources"]["web"]["bytes"] + plain["sources"]["web"]["held_out_bytes"] == size
    assert str(tmp_path) not in json.dumps(plain)


def large_tokenizer(size: int) -> Tokenizer:
    """Words `w0 … ` and an end mark whose id is the largest, `size - 1`."""
    words = {f"w{n}": n for n in range(size - 1)} | {"<eos>": size - 1}
    raw = RawTokenizer(models.WordLevel(words, unk_token="w0"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Tokenizer(raw, "words")


@pytest.mark.parametrize(("size", "kind"), [(65_536, "<u2"), (65_537, "<u4")])
def test_the_format_of_tokens_follows_the_vocabulary(tmp_path: Path, size: int, kind: str) -> None:
    write(tmp_path / "corpus" / "web.jsonl", ["w1 w2 w65534", "w3"] * 20)
    sources = LocalCorpus(root=str(tmp_path / "corpus")).open()
    tokenizer = large_tokenizer(size)
    make(tmp_path / "out", sources, tokenizer, settings(range_bytes=10**9))
    (stem,) = shards_on_disk(tmp_path / "out", "web")
    found = documents_on_disk(stem, "train", tokenizer, kind)
    found |= documents_on_disk(stem, "held_out", tokenizer, kind)
    assert [found[n].split() for n in (0, 1)] == [["w1", "w2", "w65534"], ["w3"]]
    assert opened(tmp_path / "out").token_format.itemsize == int(kind[-1])


@pytest.mark.parametrize("name", ["a b", "über/x", "..", ".hidden", "C:*?"])
def test_a_source_of_any_name_has_a_folder_of_its_own(name: str) -> None:
    folder = source_folder(name)
    assert "/" not in folder and not folder.startswith(".") and "*" not in folder


def test_dropped_documents_are_left_out_and_counted_by_reason(tmp_path: Path) -> None:
    from bitnet.data.prepared.work import Quality

    class Odd:
        def dropped(self, source: str, unit: int) -> dict[int, str]:
            return {n: "odd" if n % 3 else "third" for n in range(1, 100, 2)}

    texts = documents("web", 40)
    write(tmp_path / "corpus" / "web.jsonl", texts)
    sources = LocalCorpus(root=str(tmp_path / "corpus")).open()
    how = settings(range_bytes=10**9)
    make(tmp_path / "out", sources, how=how, quality=Quality({"step": 1}, Odd))
    (stem,) = shards_on_disk(tmp_path / "out", "web")
    found = documents_on_disk(stem, "train") | documents_on_disk(stem, "held_out")
    assert found == {n: text for n, text in enumerate(texts) if n % 2 == 0}
    assert record(stem)["dropped"] == {"odd": 13, "third": 7}
    plan = json.loads((tmp_path / "out" / "plan.json").read_text("utf-8"))
    assert plan["quality.step"] == 1
