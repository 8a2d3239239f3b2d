"""Documents longer than memory should hold are read, packed and resumed in parts."""

import json

import numpy as np
import pytest

from bitnet.data import LocalCorpus
from bitnet.data.readers import json_lines, plain_text
from bitnet.data.records import Unit, Where
from bitnet.data.sources import Source, StoredFile
from tests.data.corpora import BYTES, batches, documents, module_of, same, write

LONG = " ".join(f"word{n % 977}é" for n in range(9000))
LIMIT = 4096


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(json_lines, "LINE_BYTES", LIMIT)
    monkeypatch.setattr(plain_text, "_PART_BYTES", LIMIT)
    own = json_lines.long_line_texts
    monkeypatch.setattr(
        json_lines, "long_line_texts", lambda head, lines, field: own(head, lines, field, 1500)
    )


@pytest.fixture(params=["jsonl", "jsonl.zst", "jsonl.gz", "txt"])
def long_corpus(root, request, small_parts):
    texts = documents("a", 40)
    texts[7] = LONG
    texts[23] = LONG[::-1]
    write(root / f"a.{request.param}", texts)
    return LocalCorpus(root=str(root)), texts


def test_parts_join_to_the_document(long_corpus):
    corpus, texts = long_corpus
    source = corpus.open()["a"]
    (unit,) = source.units(1 << 40)
    read: dict[int, str] = {}
    parts: dict[int, list[int]] = {}
    for record in source.read(unit):
        assert record.text is not None
        read[record.number] = read.get(record.number, "") + record.text
        parts.setdefault(record.number, []).append(record.part)
        if record.last:
            assert parts[record.number] == list(range(record.part + 1))
    assert [text.strip("\n") for text in read.values()] == texts
    assert len(parts[7]) > 5
    assert sum(len(each) > 1 for each in parts.values()) == 2


def test_a_long_document_is_packed_whole_with_one_end_token(long_corpus):
    corpus, texts = long_corpus
    module = module_of(corpus, {"a": 1.0}, streams=1, length=64, fraction=1e-9)
    size = sum(len(text.encode()) + 1 for text in texts)
    stream = np.concatenate([b["tokens"].numpy().ravel() for b in batches(module, size // 195 + 2)])
    ends = np.flatnonzero(stream == BYTES.eos_id)[:40]
    read = BYTES.decode(stream[: ends[-1]].tolist()).split("<|endoftext|>")
    assert sorted(text.strip("\n") for text in read) == sorted(texts)


@pytest.mark.parametrize("fraction", [1e-9, 0.5])
def test_resume_anywhere_in_a_long_document(long_corpus, fraction):
    corpus, _ = long_corpus
    settings = {"streams": 2, "length": 100, "fraction": fraction, "shuffle": 0.002}
    whole = module_of(corpus, {"a": 1.0}, **settings)
    expected = batches(whole, 420)
    parts_met = set()
    for at in range(0, 400, 23):
        whole.trained_batches = at
        state = whole.state_dict()
        parts_met |= {cursor["a"]["part"] for cursor in state["cursors"].values()}
        again = module_of(corpus, {"a": 1.0}, **settings)
        again.load_state_dict(state)
        assert same(batches(again, 12), expected[at : at + 12])
        again.trained_batches = whole.trained_batches = at + 12
        assert again.report() == whole.report()
    if fraction < 0.1:
        assert len(parts_met) > 4


def test_a_long_document_trains_or_is_held_out_as_a_whole(long_corpus):
    corpus, texts = long_corpus
    module = module_of(corpus, {"a": 1.0}, streams=1, length=64, fraction=0.5)
    held = {BYTES.decode(b["tokens"].flatten().tolist()) for b in module.val_dataloader()}
    count = sum(len(text.encode()) for text in texts) // 195 + 40
    read = "".join(BYTES.decode(b["tokens"].flatten().tolist()) for b in batches(module, count))
    for number in (7, 23):
        inside = texts[number][3000:3040]
        in_training = sum(texts[number][at : at + 40] in read for at in range(0, 60_000, 3000))
        assert in_training in (0, 20), inside
    assert held


def test_a_long_line_that_breaks_ends_its_document(root, small_parts):
    lines = [json.dumps({"text": text}) for text in documents("a", 10)]
    lines[4] = json.dumps({"text": LONG})[:-1] + ', "meta": oops}'
    (root / "a.jsonl").write_text("\n".join(lines) + "\n")
    module = module_of(
        LocalCorpus(root=str(root)), {"a": 1.0}, streams=1, fraction=1e-9, bad="skip", batch=1
    )
    size = len(LONG.encode()) + 2000
    stream = np.concatenate([b["tokens"].numpy().ravel() for b in batches(module, size // 33)])
    read = BYTES.decode(stream.tolist()).split("<|endoftext|>")
    begun, *_ = [text for text in read if text and LONG.startswith(text)]
    assert len(begun) > len(LONG) - 3000
    module.trained_batches = size // 33
    assert module.report()[0].broken >= 1


def test_subsets_in_one_file_may_hold_long_lines(root, small_parts):
    records = [
        {"text": LONG if n % 5 == 2 else text, "meta": {"set": "ab"[n % 2]}}
        for n, text in enumerate(documents("a", 30))
    ]
    (root / "all.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    path = root / "all.jsonl"
    file = StoredFile("all.jsonl", str(path), path.stat().st_size)
    for value in "ab":
        read: dict[int, str] = {}
        for record in Source("x", (file,), where=Where("meta.set", value)).read(Unit(0)):
            read[record.number] = read.get(record.number, "") + (record.text or "")
        wanted = {n: r["text"] for n, r in enumerate(records) if r["meta"]["set"] == value}
        assert read == wanted
