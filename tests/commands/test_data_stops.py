"""A source that cannot be read on ends a run with a checkpoint, on one rank and on several."""

import json
import subprocess
from pathlib import Path

import pytest

from bitnet.runs import RunDirectory
from tests.commands.conftest import tiny_overrides
from tests.commands.forks import finish

STEP = 4 * 64
BROKEN = 26  # a line that training only comes to after some steps


def run_train(corpus: Path, run: Path, **values: object) -> subprocess.CompletedProcess[str]:
    settings: dict[str, object] = {
        "callbacks.samples.every_tokens": 0,
        "checkpoint.every_tokens": 1000 * STEP,
    }
    settings["stream.shuffle_megabytes"] = 0.002
    overrides = tiny_overrides(corpus, **{**settings, "batch.micro": 1, **values})
    return finish("train", *overrides, f"run_dir={run}", timeout=300)


def break_late(corpus: Path) -> None:
    """Spoil one line."""
    path = corpus / "web.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    lines[BROKEN] = '{"text": oops\n'
    path.write_text("".join(lines), "utf-8")


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_run_stops_saves_and_goes_on_once_the_data_is_mended(
    tmp_path: Path, corpus: Path, ranks: int
) -> None:
    trainer = {"trainer": "ddp", "trainer.accelerator": "cpu"} if ranks == 2 else {}
    whole = (corpus / "web.jsonl").read_text("utf-8")
    break_late(corpus)
    run = tmp_path / "run"
    done = run_train(corpus, run, **trainer)
    assert done.returncode == 2, done.stderr[-3000:]
    assert f"web.jsonl:{BROKEN + 1}: broken JSON" in done.stderr
    assert "Traceback" not in done.stderr
    assert RunDirectory(run).record()["state"] == "failed"
    (saved,) = (run / "checkpoints").glob("tokens-*.ckpt")
    tokens = int(saved.stem.removeprefix("tokens-"))
    assert tokens % STEP == 0 and 0 < tokens < 24 * STEP

    # Mended to the same size: the files are told apart by their names and sizes.
    size = (corpus / "web.jsonl").stat().st_size
    lines = whole.splitlines(keepends=True)
    lines[BROKEN] = ""
    short = size - len("".join(lines).encode())
    lines[BROKEN] = json.dumps({"text": "x" * (short - len('{"text": ""}') - 1)}) + "\n"
    (corpus / "web.jsonl").write_text("".join(lines), "utf-8")
    again = finish("train", f"resume={run}", timeout=300)
    assert again.returncode == 0, again.stderr[-3000:]
    assert RunDirectory(run).record()["state"] == "finished"


def test_a_source_that_may_be_read_once_ends_the_run(tmp_path: Path, corpus: Path) -> None:
    run = tmp_path / "run"
    limits = {"+mix.max_epochs.books": 1, "budget.tokens": 200 * STEP}
    done = run_train(corpus, run, **limits)
    assert done.returncode == 2
    assert "mix.max_epochs.books: 1 is less than the" in done.stderr + done.stdout
    assert "source 'books' ends here" in done.stderr
    assert list((run / "checkpoints").glob("tokens-*.ckpt"))
