"""The pocket corpus: seven subsets from this very installation, always the same ones."""

import json
import sysconfig
import threading
from pathlib import Path

import pytest

from bitnet.data import DataError, PocketCorpus, load_tokenizer
from bitnet.data.pocket import corpus as pocket_file
from bitnet.data.pocket.cache import build_file, build_folder, cache_folder, environment_key
from bitnet.data.pocket.docstrings import docstrings_of
from bitnet.data.pocket.installation import project_pages
from bitnet.data.pocket.prose import chapters_of, clean_prose
from bitnet.data.records import Unit
from tests.data.corpora import LLAMA, batches, module_of

MEGABYTES = 0.35


@pytest.fixture(scope="module")
def pocket(tmp_path_factory):
    corpus = PocketCorpus(
        megabytes_per_subset=MEGABYTES, cache_dir=str(tmp_path_factory.mktemp("cache"))
    )
    corpus.open()
    return corpus


def rows_of(corpus, name):
    source = corpus.open()[name]
    return [record.text for record in source.read(Unit(0))]


def test_it_has_the_seven_subsets_with_enough_in_each(pocket):
    assert sorted(pocket.open()) == sorted(LLAMA)
    for name in LLAMA:
        texts = rows_of(pocket, name)
        assert len(texts) >= 10, name
        assert sum(map(len, texts)) <= MEGABYTES * 1e6 + 500_000


def test_no_text_is_there_twice(pocket):
    everything = [text for name in LLAMA for text in rows_of(pocket, name)]
    assert len(everything) == len(set(everything))


def test_each_subset_is_of_its_kind(pocket):
    assert all(">>> " in text for text in rows_of(pocket, "stackexchange"))
    assert all("math" in text or "\\" in text for text in rows_of(pocket, "arxiv"))
    assert not any(">>> " in text for text in rows_of(pocket, "c4"))
    assert any("def " in text for text in rows_of(pocket, "github"))


def test_lines_have_the_schema_of_redpajama_and_no_path_of_this_machine(pocket):
    from bitnet.data.readers.decompress import decompressed

    folder = sysconfig.get_paths()["stdlib"].strip("/").split("/")[0]
    for source in pocket.open().values():
        with source.files[0].open() as raw:
            for line in decompressed(raw, source.files[0].name):
                row = json.loads(line)
                assert set(row) == {"text", "meta"}
                path = row["meta"]["path"]
                assert not path.startswith("/")
                assert f"/{folder}/" not in path


def test_harvesting_again_gives_the_same_bytes(pocket, tmp_path):
    again = PocketCorpus(megabytes_per_subset=MEGABYTES, cache_dir=str(tmp_path))
    for name, source in again.open().items():
        (file,), (first,) = source.files, pocket.open()[name].files
        assert file.name == first.name
        with file.open() as left, first.open() as right:
            assert left.read() == right.read()


def test_it_trains_with_its_own_tokenizer(pocket, monkeypatch):
    monkeypatch.setattr(pocket_file, "DEFAULT_MEGABYTES", MEGABYTES)
    tokenizer = load_tokenizer("pocket", pocket.cache_dir)
    assert tokenizer.vocab_size == 4096
    assert tokenizer.decode([tokenizer.eos_id]) == "<|endoftext|>"
    module = module_of(pocket, LLAMA, streams=8, length=64, tokenizer=tokenizer)
    ids = {source for batch in batches(module, 100) for source in batch["source"].tolist()}
    assert ids == set(range(7))
    assert len(module.val_dataloader()) > 0


def test_a_damaged_cache_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pocket_file, "harvest", lambda folder, _: (folder / "x").touch())
    with pytest.raises(DataError, match="is damaged; delete that folder"):
        PocketCorpus(cache_dir=str(tmp_path)).open()


def test_it_says_that_it_is_a_stand_in(pocket, caplog):
    pocket_file._announce.cache_clear()
    pocket.open()
    pocket.open()
    assert caplog.text.count("a stand-in for smoke runs, not training data") == 1


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.delenv("BITNET_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder(None) == tmp_path / "xdg" / "bitnet"
    monkeypatch.setenv("BITNET_CACHE", str(tmp_path / "own"))
    assert cache_folder(None) == tmp_path / "own"
    assert cache_folder(str(tmp_path / "told")) == tmp_path / "told"


def test_the_environment_key_follows_the_settings():
    assert environment_key(1) == environment_key(1) != environment_key(2)


def test_racing_builders_leave_one_whole_folder(tmp_path):
    barrier = threading.Barrier(2)

    def build(folder):
        (folder / "data").write_text("whole")
        barrier.wait(timeout=10)

    racers = [
        threading.Thread(target=build_folder, args=(tmp_path / "made", build)) for _ in range(2)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert (tmp_path / "made" / "data").read_text() == "whole"
    assert [entry.name for entry in tmp_path.iterdir()] == ["made"]


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def fail(path):
        raise RuntimeError("half way")

    for build in (build_folder, build_file):
        with pytest.raises(RuntimeError, match="half way"):
            build(tmp_path / "made", fail)
    assert list(tmp_path.iterdir()) == []


def test_docstrings_are_found_without_importing():
    long = ("word " * 60).strip()
    source = f'raise SystemExit\ndef f():\n    """{long}"""\nadd_docstr(f, r"""{long}x""")\n'
    assert sorted(docstrings_of(source)) == [long, f"{long}x"]
    assert docstrings_of("def broken(:") == []
    assert docstrings_of("a = '\0'") == []


def test_prose_keeps_sentences_only():
    sentence = "This is a sentence of quite enough words to be counted as real prose. " * 4
    text = f"{sentence}\n\nx = [1, 2]\n\n:param a: something that is not prose.\n\nShort one."
    assert clean_prose(text) == sentence.strip()
    assert clean_prose("x = 1") == ""


def test_chapters_lose_no_paragraph():
    text = "\n\n".join(f"paragraph {n} " * 5 for n in range(50))
    parts = chapters_of(text, 500)
    assert len(parts) > 5
    assert " ".join(" ".join(parts).split()) == " ".join(text.split())


def test_packages_that_a_program_puts_on_its_path_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = environment_key(1)
    vendored = tmp_path / "vendored-1.0.dist-info"
    vendored.mkdir()
    (vendored / "METADATA").write_text("Name: vendored\nVersion: 1.0\n\nA page.\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert environment_key(1) == before
    assert "vendored" not in dict(project_pages())
