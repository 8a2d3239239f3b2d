"""`bitnet data at`: the very samples of a step, whichever feed, wherever the checkpoints stand."""

from pathlib import Path

import pytest

from bitnet.cli import main
from bitnet.commands import seen
from bitnet.commands.build import open_data
from bitnet.commands.seen import find_samples
from bitnet.config.saved import from_plain, read_plain
from bitnet.data import load_tokenizer
from bitnet.runs import RunDirectory
from tests.commands.conftest import tiny_overrides

STEP = 4 * 64
STEPS = 8


def trained(corpus: Path, run: Path, **values: object) -> RunDirectory:
    settings = {"callbacks.samples.every_tokens": 0, "checkpoint.keep": 0, **values}
    overrides = tiny_overrides(corpus, **settings)
    if "data.path" in values:
        overrides = [each for each in overrides if not each.startswith("data.root")]
    assert main(["train", *overrides, f"budget.tokens={STEPS * STEP}", f"run_dir={run}"]) == 0
    return RunDirectory(run)


def expected(run: RunDirectory) -> list[list[int]]:
    config = from_plain(read_plain(run.config_file), run.record()["kinds"])
    data = open_data(config, load_tokenizer(str(run.path / "tokenizer.json")))
    count = STEPS * config.batch.size // config.batch.micro
    batches = [b["tokens"] for b, _ in zip(data.train_dataloader(), range(count), strict=False)]
    return [row for batch in batches for row in batch.tolist()]


@pytest.fixture(params=["stream", "prepared"])
def run(request: pytest.FixtureRequest, tmp_path: Path, corpus: Path) -> RunDirectory:
    values: dict[str, object] = {"batch.micro": 2}
    if request.param == "prepared":
        folder = tmp_path / "prepared"
        made = ["data=local", f"data.root={corpus}", "tokenizer=bytes", f"output={folder}"]
        assert main(["prepare", *made, "validation.fraction=0.15", "workers=0"]) == 0
        values |= {"data": "prepared", "data.path": folder, "tokenizer": folder}
    return trained(corpus, tmp_path / "run", **values)


def test_samples_are_those_that_were_trained_on(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = from_plain(read_plain(run.config_file), run.record()["kinds"])
    tokenizer = load_tokenizer(str(run.path / "tokenizer.json"))
    everything = expected(run)
    for first, count in ((0, 4), (12, 4), (13, 3), (28, 4)):
        found = find_samples(run, config, tokenizer, first, count)
        assert [sample.number for sample in found] == list(range(first, first + count))
        assert [s.tokens.tolist() for s in found] == everything[first : first + count]
        for sample in found:
            assert sample.documents[0].first == 0
            assert sample.documents[-1].last == len(sample.tokens)
            for before, after in zip(sample.documents, sample.documents[1:], strict=False):
                assert before.last == after.first
                assert sample.tokens[before.last - 1] == tokenizer.eos_id
            for document in sample.documents:
                file, line = document.place.rsplit(":", 1)
                assert file.removesuffix(".jsonl") == sample.source
                text = tokenizer.decode(sample.tokens[document.first : document.last].tolist())
                stored = (Path(str(run.path.parent)) / "corpus" / file).read_text("utf-8")
                assert text.removesuffix("<|endoftext|>") in stored.splitlines()[int(line) - 1]
    monkeypatch.setattr(seen, "_position_before", lambda *_: None)
    again = find_samples(run, config, tokenizer, 28, 4)
    assert [s.tokens.tolist() for s in again] == everything[28:32]


def test_what_is_printed(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["data", "at", str(run.path), "step=3", "samples=2"]) == 0
    out = capsys.readouterr().out
    assert "step 3, sample 8" in out and "sample 9" in out and "sample 10" not in out
    assert ".jsonl:" in out and "tokens" in out


def test_what_makes_no_sense(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(trained(corpus, tmp_path / "run").path)
    for arguments, line in (
        (["step=0"], "step: '0' is not a whole number above 0"),
        (["step=999"], "step: 999 is not one of the run's steps 1 to 8"),
        (["stepp=3"], "stepp: there is no such key; did you mean 'step'?"),
        ([], "takes a run directory and a step"),
    ):
        capsys.readouterr()
        assert main(["data", "at", run, *arguments]) == 2
        assert line in capsys.readouterr().err
