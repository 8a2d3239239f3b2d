"""`bitnet data list` and `bitnet data inspect`, as a user sees them."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest

from bitnet.cli import main
from bitnet.commands import inspect as inspecting
from bitnet.commands import source_contents
from bitnet.config.compose import train_config
from tests.data.corpora import documents, json_lines

TINY = ["tokenizer=bytes", "model.vocab_size=320", "debug=tiny"]


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["data", *arguments]) == 0
    return capsys.readouterr().out


def fault(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["data", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_the_list_has_a_line_for_every_corpus(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = shown(capsys, "list").splitlines()
    assert all(len(line.rstrip()) <= 100 for line in lines)
    by_name = {line.split()[0]: line for line in lines if line.strip()}
    assert "1.19T" in by_name["redpajama"] and "lists" in by_name["redpajama"]
    assert "data.root=…" in by_name["slimpajama_local"]
    assert "allenai/c4" in by_name["c4"] and "ODC-BY" in by_name["c4"]


@pytest.mark.parametrize("name", ["redpajama", "data=redpajama"])
def test_one_corpus_in_full(capsys: pytest.CaptureFixture[str], name: str) -> None:
    text = " ".join(shown(capsys, "list", name).split())
    for part in (
        "licence mixed",
        "reached by lists",
        "urls.txt",
        "! book: Dolma v1.7's books",
        "878B tokens */common_crawl/*",
        "pred_label_prob",
        "the hub repository holds lists of addresses only",
    ):
        assert part in text
    assert "data.root=…" in shown(capsys, "list", "dolma_local")


def test_faults_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert "'redpjama' is unknown; did you mean 'redpajama'?" in fault(capsys, "list", "redpjama")
    assert "takes at most one name" in fault(capsys, "list", "seed=1")
    assert "did you mean 'inspect'?" in fault(capsys, "inspct")
    assert "list, inspect" in fault(capsys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "web.jsonl").write_bytes(json_lines(documents("web", 40)) + b'{"txt": 1}\n{}\n')
    rows = [{"text": text, "extra": 1} for text in documents("code", 30)]
    (tmp_path / "code.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_a_small_local_corpus_is_read_whole(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    mix = ["~mix", "+mix.weights.web=0.75", "+mix.weights.code=0.25"]
    root = ["data=redpajama_local", f"data.root={folder}"]
    text = shown(capsys, "inspect", *root, *mix, *TINY)
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert all(len(line.rstrip()) <= 100 for line in text.splitlines())
    whole = sum(len(each.encode()) + 1 for each in documents("code", 30))
    config = train_config([*root, *mix, *TINY])
    found = inspecting.inspect(config)
    assert found["code"].tokens == whole and found["code"].exact
    assert found["web"].documents == 40 and found["web"].broken == 2
    assert "web.jsonl:41: the text field 'text' is unknown (there is: txt)" in found["web"].fault
    assert rows["code"] and "Only the beginning was read" not in text
    assert "stated, but not in the first records: meta, red_pajama_subset" in text
    assert "not stated: extra" in text and "licence" in text
    assert "[web:0]" in text and "75.00%" in text


def test_of_a_remote_corpus_only_the_beginning_is_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_contents, "_PART_OF_TEXT", 20_000)
    content = json_lines(documents("web", 400))
    memory = fsspec.filesystem("memory")
    for part in range(6):
        memory.pipe(f"/inspected/{part}.jsonl", content)
    where = ["data=c4", "data.repository=memory://inspected", "data.subsets.c4=['*.jsonl']"]
    where += ["data.network.cache_gigabytes=0", "~data.published_tokens.c4"]
    text = shown(capsys, "inspect", *where, "mix=natural", *TINY)
    assert "Only the beginning was read, 20" in text and "of text at most: c4" in text
    assert "6 file(s)" in text
    config = train_config([*where, "mix=uniform", *TINY])
    found = inspecting.inspect(config)["c4"]
    assert 20_000 <= found.bytes < 24_000 and not found.whole
    shown_tokens = inspecting._all_tokens(config, config.data.open()["c4"], found)
    exact = 6 * sum(len(each.encode()) + 1 for each in documents("web", 400))
    assert shown_tokens == pytest.approx(exact, rel=0.05)


def test_a_search_for_a_rare_subset_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_contents, "_WHOLE_BYTES", 1000)
    monkeypatch.setattr(source_contents, "_PART_OF_FILES", 30_000)
    path = tmp_path / "all.jsonl"
    path.write_bytes(json_lines(documents("web", 4000)))
    overrides = ["data=local", f"data.root={tmp_path}", "data.subset_field=meta.t"]
    overrides += ["+data.subset_values.rare=nowhere", "mix=uniform", *TINY]
    found = inspecting.inspect(train_config(overrides))["rare"]
    assert (found.documents, found.fault) == (0, "")
