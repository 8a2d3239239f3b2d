"""What users and files get wrong, and the one line they are told."""

import json
import resource
import sys
import time

import pytest

from bitnet.data import DataError, HubCorpus, LocalCorpus, StreamSpec, ValidationSpec
from bitnet.data.mix import weights_problems
from bitnet.data.records import Unit
from tests.data.corpora import BYTES, batches, documents, json_lines, module_of, write

GOOD = documents("a", 40)


def run(root, name="a", count=40, **settings):
    module = module_of(LocalCorpus(root=str(root)), {name: 1.0}, streams=2, **settings)
    found = batches(module, count)
    module.trained_batches = count
    return module.report()[0], found


def lines_with(bad: bytes, at=20) -> bytes:
    lines = json_lines(GOOD).splitlines(keepends=True)
    return b"".join([*lines[:at], bad, *lines[at:]])


BROKEN = {
    "half a line": (b'{"text": "cut of\n', "broken JSON"),
    "not an object": (b'["text"]\n', "a JSON list, not an object"),
    "no text": (b'{"txt": "x", "meta": {}}\n', "did you mean 'txt'|there is: txt, meta"),
    "null": (b'{"text": null}\n', "holds a NoneType"),
    "number": (b'{"text": 5}\n', "holds a int"),
    "NUL": (b'{"text": "ab\\u0000c"}\n', "NUL characters"),
    "surrogate": (b'{"text": "ab\\ud800c"}\n', "surrogate"),
    "latin-1": (b'{"text": "caf\xe9"}\n', "UTF-8"),
    "raw binary": (bytes(range(1, 10)) + b"\xff\n", ""),
    "huge number": (b'{"text": "x", "n": ' + b"1" * 5000 + b"}\n", ""),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_record_stops_the_run_at_file_and_line(root, kind):
    bad, told = BROKEN[kind]
    (root / "a.jsonl").write_bytes(lines_with(bad))
    with pytest.raises(DataError, match=rf"a\.jsonl:21: .*({told})") as caught:
        run(root)
    assert "\n" not in str(caught.value)
    assert "on_bad_record=skip" in str(caught.value)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_record_can_be_skipped_and_is_counted(root, kind, caplog):
    (root / "a.jsonl").write_bytes(lines_with(BROKEN[kind][0]))
    report, _ = run(root, bad="skip", count=12)
    assert report.broken == 1
    assert "a.jsonl:21: skipped" in caplog.text


def test_an_error_in_a_worker_is_the_same_one_line(root):
    (root / "a.jsonl").write_bytes(lines_with(b"{\n"))
    with pytest.raises(DataError, match=r"^a\.jsonl:21: broken JSON") as caught:
        run(root, workers=2)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["zst", "gz"])
def test_a_truncated_file_is_refused_by_name_even_when_skipping(root, suffix):
    path = write(root / f"a.jsonl.{suffix}", documents("a", 3000))
    stored = path.read_bytes()
    path.write_bytes(stored[: len(stored) // 2])
    with pytest.raises(DataError, match=rf"a\.jsonl\.{suffix}: truncated .* {len(stored) // 2} by"):
        run(root, bad="skip", count=2000)


@pytest.mark.parametrize("suffix", ["zst", "gz"])
def test_a_file_cut_at_any_byte_never_ends_in_silence(root, suffix):
    path = write(root / f"a.jsonl.{suffix}", documents("a", 30))
    stored = path.read_bytes()
    source = LocalCorpus(root=str(root)).open()["a"]
    assert len(list(source.read(Unit(0)))) == 30
    for size in [*range(1, 24), *range(24, len(stored), 37), len(stored) - 1]:
        path.write_bytes(stored[:size])
        with pytest.raises(DataError, match=r"a\.jsonl"):
            list(source.read(Unit(0)))


@pytest.mark.parametrize("suffix", ["zst", "gz"])
def test_files_of_several_frames_are_read_to_the_end(root, suffix):
    first = write(root / f"a.jsonl.{suffix}", GOOD[:25]).read_bytes()
    path = write(root / f"a.jsonl.{suffix}", GOOD[25:])
    path.write_bytes(first + path.read_bytes())
    source = LocalCorpus(root=str(root)).open()["a"]
    assert [record.text for record in source.read(Unit(0))] == GOOD


@pytest.mark.parametrize("suffix", ["jsonl.zst", "jsonl.gz", "parquet"])
def test_a_file_that_is_not_what_its_name_says(root, suffix):
    (root / f"a.{suffix}").write_bytes(json_lines(GOOD))
    with pytest.raises(DataError, match=rf"a\.{suffix}: (broken|unreadable)"):
        run(root)


def test_parquet_without_the_text_column(root):
    write(root / "a.parquet", GOOD)
    corpus = LocalCorpus(root=str(root), text_field="txt")
    with pytest.raises(DataError, match=r"a\.parquet: .*'txt' is unknown .*did you mean 'text'"):
        batches(module_of(corpus, {"a": 1.0}), 1)


def test_empty_documents_are_counted_and_passed_over(root):
    write(root / "a.jsonl", [*GOOD, "", "   \n\t", ""])
    with (root / "a.jsonl").open("ab") as file:
        file.write(b"\n")
    report, _ = run(root, count=12)
    assert report.empty == 4


def test_a_block_of_nothing_but_empty_documents_is_counted(root):
    write(root / "a.jsonl", ["long enough to fill a block " * 40, *[""] * 5])
    module = module_of(LocalCorpus(root=str(root)), {"a": 1.0}, streams=1, shuffle=0.001)
    epochs = sum(int((b["tokens"] == BYTES.eos_id).sum()) for b in batches(module, 60))
    module.trained_batches = 60
    (report,) = module.report()
    assert epochs >= 4
    assert report.empty == 5 * epochs


def test_a_subset_of_nothing_but_empty_documents_is_refused(root):
    write(root / "a.jsonl", [""] * 30)
    with pytest.raises(DataError, match="source 'a' has no training document for stream 0 of 2"):
        run(root)


def test_fewer_documents_than_streams_is_refused(root):
    write(root / "a.jsonl", ["one lonely document"])
    with pytest.raises(DataError, match=r"lower stream\.streams"):
        run(root, fraction=0.001, count=4)


def test_a_document_of_50_megabytes(root):
    """Blank-free and wordy parts alike; encoded whole it would take gigabytes."""
    text = ("some words and more " * 50 + "x" * 4000) * 10_000
    assert len(text) >= 50_000_000
    (root / "a.jsonl").write_bytes(json_lines([text, *GOOD]))
    before = peak_bytes()
    started = time.monotonic()
    module = module_of(
        LocalCorpus(root=str(root)), {"a": 1.0}, streams=1, length=2048, fraction=0.001
    )
    expected = batches(module, 60)
    module.trained_batches = 40
    again = module_of(
        LocalCorpus(root=str(root)), {"a": 1.0}, streams=1, length=2048, fraction=0.001
    )
    again.load_state_dict(module.state_dict())
    assert all(
        (a["tokens"] == b["tokens"]).all()
        for a, b in zip(batches(again, 20), expected[40:], strict=True)
    )
    assert time.monotonic() - started < 30
    assert peak_bytes() - before < 1_000_000_000


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


MIXES = [
    ({"a": 0.6, "b": 0.3}, "the weights sum to 0.9, not to 1"),
    ({"a": 0.5, "bok": 0.5}, r"'bok' is unknown \(there is: a, book\); did you mean 'book'\?"),
    ({"a": 1.5, "book": -0.5}, "'book' has weight -0.5"),
    ({"a": float("nan"), "book": 1.0}, "'a' has weight nan"),
    ({}, "no source has a weight"),
]


@pytest.mark.parametrize(("mix", "told"), MIXES)
def test_a_wrong_mix_is_refused(root, mix, told):
    write(root / "a.jsonl", GOOD)
    write(root / "book.jsonl", GOOD)
    with pytest.raises(DataError, match=told):
        module_of(LocalCorpus(root=str(root)), mix).setup()


def test_the_sum_of_weights_has_a_tolerance():
    assert not weights_problems({"a": 0.1, "b": 0.2, "c": 0.7}, ["a", "b", "c"])
    assert not weights_problems({"a": 0.5000004, "b": 0.5}, ["a", "b"])
    assert weights_problems({"a": 0.500002, "b": 0.5}, ["a", "b"])


def test_a_missing_folder_and_a_missing_subset(root):
    with pytest.raises(DataError, match=r"data\.root: there is no folder"):
        LocalCorpus(root=str(root / "nowhere")).open()
    with pytest.raises(DataError, match=r"data\.root: .* holds no subset"):
        LocalCorpus(root=str(root)).open()
    write(root / "book.jsonl", GOOD)
    with pytest.raises(DataError, match=r"data\.subsets\.b: .*did you mean 'book\.jsonl'"):
        LocalCorpus(root=str(root), subsets={"b": "boook.jsonl"}).open()


def test_two_files_that_would_be_one_subset(root):
    write(root / "a.jsonl", GOOD)
    write(root / "a.parquet", GOOD)
    with pytest.raises(DataError, match="would both be the subset 'a'"):
        LocalCorpus(root=str(root)).open()


def test_a_list_of_addresses_is_refused(root):
    (root / "a.txt").write_text("https://data.example/1.jsonl\nhttps://data.example/2.jsonl\n")
    with pytest.raises(DataError, match=r"a\.txt: holds a list of web addresses"):
        run(root)


def test_text_that_mentions_an_address_is_not(root):
    (root / "a.txt").write_text("\n<|endoftext|>\n".join([*GOOD, "see https://x.example\nfor it"]))
    run(root, count=12)


def test_hub_lists_of_addresses_are_refused_before_they_are_read():
    corpus = HubCorpus(subsets={"arxiv": ["https://hub.example/resolve/main/urls/arxiv.txt"]})
    with pytest.raises(DataError, match=r"data\.subsets\.arxiv: .*list of web addresses"):
        corpus.open()


SPECS = [
    (StreamSpec(streams=0), "streams: 0"),
    (StreamSpec(shuffle_megabytes=-1), "shuffle_megabytes: -1"),
    (StreamSpec(shuffle_megabytes=float("nan")), "shuffle_megabytes: nan"),
    (StreamSpec(workers=-1), "workers: -1"),
    (StreamSpec(workers=3), "workers: 3 does not divide streams 8"),
    (StreamSpec(on_bad_record="ignore"), "on_bad_record: 'ignore' is not one of stop, skip"),
    (ValidationSpec(fraction=0), "fraction: 0"),
    (ValidationSpec(fraction=1), "fraction: 1"),
    (ValidationSpec(tokens_per_source=0), "tokens_per_source: 0"),
    (LocalCorpus(), "root: is empty"),
    (LocalCorpus(root="x", text_field=""), "text_field: is empty"),
    (HubCorpus(), "subsets: is empty"),
    (HubCorpus(subsets={"a": ["data/*.jsonl"]}), "repository: is empty"),
]


@pytest.mark.parametrize(("spec", "told"), SPECS)
def test_specs_name_the_field(spec, told):
    assert any(problem.startswith(told) for problem in spec.problems())


@pytest.mark.parametrize("spec", [StreamSpec(), ValidationSpec(), LocalCorpus(root="x")])
def test_good_specs_have_no_problems(spec):
    assert spec.problems() == []


def test_metadata_that_changes_its_type_is_harmless(root):
    rows = [{"text": text, "pred": n if n % 2 else n / 2} for n, text in enumerate(GOOD)]
    (root / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    report, found = run(root, count=12)
    assert report.broken == 0
    assert "[a:" in BYTES.decode(found[0]["tokens"].flatten().tolist())
