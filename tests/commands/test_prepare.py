"""`bitnet prepare` and `bitnet data verify` from the command line."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bitnet.cli import main
from bitnet.data.prepared.corpus import PreparedCorpus
from tests.commands.conftest import write_corpus

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def prepare(corpus: Path, out: Path, *more: str) -> int:
    fixed = ["data=local", f"data.root={corpus}", "tokenizer=bytes", f"output={out}", "workers=0"]
    return main(["prepare", *fixed, *more])


def test_a_corpus_becomes_a_folder_that_says_what_it_holds(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert prepare(corpus, out, "validation.fraction=0.1", "range_megabytes=0.005") == 0
    shown = capsys.readouterr().out
    prepared = PreparedCorpus(path=str(out)).open_set()
    assert list(prepared.sources) == ["books", "code", "web"]
    assert prepared.manifest.held_out_fraction == 0.1
    assert len(prepared.sources["web"].shards) > 1
    for source in prepared.sources.values():
        assert source.documents + source.held_out_documents == 60
        assert f"{source.tokens:,}" in shown and f"{source.held_out_tokens:,}" in shown
    assert re.search(r"tokens made in .* tokens/s", shown)
    assert f"train from it: data=prepared data.path={out}" in shown
    assert main(["data", "verify", str(out)]) == 0
    assert "all as they were prepared" in capsys.readouterr().out
    assert prepare(corpus, out, "validation.fraction=0.1", "range_megabytes=0.005") == 0
    assert "every shard was finished before" in capsys.readouterr().out


def test_damage_is_reported_a_line_each(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert prepare(corpus, out, "subsets=[web,code]") == 0
    (out / "web" / "00000.train.ends").unlink()
    tokens = out / "code" / "00000.train.tokens"
    tokens.write_bytes(b"\1" + tokens.read_bytes()[1:])
    capsys.readouterr()
    assert main(["data", "verify", str(out)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("bitnet data: ") for line in lines)
    assert "was changed after it was prepared" in lines[0] and "is missing" in lines[1]
    tokens.unlink()  # as the message says
    assert prepare(corpus, out, "subsets=[web,code]") == 0
    assert main(["data", "verify", str(out)]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["subsets=[wep]"], ["subsets: 'wep'", "did you mean 'web'?"]),
        (["range_megabytes=0"], ["range_megabytes: 0.0"]),
        (["validation.fraction=1"], ["validation.fraction: 1.0"]),
        (["on_bad_record=skipp"], ["on_bad_record: 'skipp'", "did you mean 'skip'?"]),
        (["bad_records_limit=-1", "workers=-1"], ["bad_records_limit: -1", "workers: -1"]),
        (["shufle=false"], ["shufle", "did you mean 'shuffle'?"]),
        (["quality.gopher.min_word=3"], ["quality.gopher.min_word", "'min_words'"]),
        (["tokenizer=./nowhere.json"], ["tokenizer: there is no file"]),
        (["data.root=nowhere"], ["data.root: there is no folder"]),
        (["output="], ["output: is empty"]),
        (["data=prepared", "~data.root", "data.path=x"], ["prepared tokens, not documents"]),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: list[str],
) -> None:
    fixed = ["data=local", f"data.root={corpus}", "tokenizer=bytes", f"output={tmp_path / 'out'}"]
    if arguments[0].startswith("data="):
        fixed, arguments = fixed[2:], [arguments[0], *arguments[2:]]
    assert main(["prepare", *fixed, *arguments]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words)
    assert all(line.startswith("bitnet prepare: ") for line in error.splitlines())
    assert not (tmp_path / "out").exists()


def test_unusable_records_are_told(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (corpus / "web.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "half\n{"text": ""}\n')
    assert prepare(corpus, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "web.jsonl:61: broken JSON" in error and "on_bad_record=skip" in error
    assert prepare(corpus, tmp_path / "out", "on_bad_record=skip") == 0
    shown = capsys.readouterr().out
    assert "web: 1 left out: unusable" in shown and "web: 1 left out: empty" in shown
    assert "web.jsonl:61: broken JSON" in shown


def test_quality_steps_leave_documents_out_and_belong_to_the_plan(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (corpus / "web.jsonl").read_text("utf-8").splitlines()
    (corpus / "web.jsonl").write_text("\n".join(lines + lines[:10]) + "\n", "utf-8")
    assert prepare(corpus, tmp_path / "out", "quality.exact.enabled=true") == 0
    shown = capsys.readouterr().out
    source = PreparedCorpus(path=str(tmp_path / "out")).open_set().sources["web"]
    assert 5 <= sum(source.dropped.values()) <= 10  # held-out documents are never dropped
    assert source.documents + source.held_out_documents + sum(source.dropped.values()) == 70
    (reason,) = source.dropped
    assert f"left out: {reason}" in shown
    assert prepare(corpus, tmp_path / "out") == 2
    assert "quality.exact.enabled was True, is absent" in capsys.readouterr().err


def test_an_interrupted_command_leaves_no_process_and_goes_on(tmp_path: Path) -> None:
    corpus, out = write_corpus(tmp_path / "corpus", documents=12_000), tmp_path / "out"
    command = [sys.executable, "-m", "bitnet.cli", "prepare", "data=local", f"data.root={corpus}"]
    command += ["tokenizer=bytes", f"output={out}", "workers=2", "range_megabytes=0.1"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not list(out.glob("*/*.json")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    shown, error = process.communicate(timeout=30)
    assert process.returncode == 130 and error.strip() == "bitnet prepare: interrupted"
    assert "shards are finished; the same command goes on" in shown
    assert not _wait_for_group(process.pid)
    assert not list(out.glob("**/.*.part")) and not (out / "manifest.json").exists()
    assert prepare(corpus, out, "range_megabytes=0.1") == 0
    assert main(["data", "verify", str(out)]) == 0


def _wait_for_group(group: int, seconds: float = 10.0) -> bool:
    """Whether a process of the group is still there after so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_real_text_has_the_tokens_of_its_manifest(tmp_path: Path) -> None:
    """Those were counted without end tokens; here each document has one."""
    published = {"stackexchange": (1734, 881_798), "c4": (2012, 1_196_751)}
    code = main(
        [
            "prepare",
            "data=redpajama_local",
            f"data.root={SHARED / 'redpajama-mini'}",
            f"tokenizer={SHARED / 'tokenizer' / '20B_tokenizer.json'}",
            f"output={tmp_path / 'out'}",
            "subsets=[stackexchange,c4]",
            "workers=0",
        ]
    )
    assert code == 0
    prepared = PreparedCorpus(path=str(tmp_path / "out")).open_set()
    for name, (documents, tokens) in published.items():
        source = prepared.sources[name]
        assert source.documents + source.held_out_documents == documents
        assert source.tokens + source.held_out_tokens == tokens + documents
