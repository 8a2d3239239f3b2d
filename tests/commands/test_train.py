"""`bitnet train` end to end on a small corpus, in this process."""

import csv
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from bitnet.cli import main
from bitnet.runs import RunDirectory
from bitnet.training import checkpoint_io
from bitnet.training.checkpoint_io import CHECKPOINT_FORMAT
from tests.commands.conftest import tiny_overrides


def train(corpus: Path, run: Path, *more: str, **values: object) -> int:
    return main(["train", *tiny_overrides(corpus, **values), f"run_dir={run}", *more])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_a_run_directory_stands_alone(corpus: Path, run: Path) -> None:
    assert train(corpus, run) == 0
    names = {file.name for file in run.iterdir()}
    assert names >= {
        "config.yaml",
        "run.json",
        "metrics.csv",
        "ternary.csv",
        "samples.md",
        "loss.png",
        "ternary.png",
        "heartbeat.json",
        "tokenizer.json",
        "checkpoints",
    }
    rows = RunDirectory(run).metrics().read()
    assert [row["step"] for row in rows] == list(range(2, 25, 2))
    assert [row["step"] for row in rows if row["val/loss"] is not None] == [8, 16, 24]
    losses = [row["val/loss"] for row in rows if row["val/loss"] is not None]
    assert losses[-1] < losses[0] < 5.6  # ln(257) is 5.55
    record = RunDirectory(run).record()
    assert record["state"] == "finished" and record["parameters"]["ternary"] > 0
    assert record["versions"]["torch"] == torch.__version__
    read = {row["name"]: row for row in record["data_read"]}
    assert sum(row["samples"] for row in read.values()) == 24 * 4
    assert read["web"]["share"] == pytest.approx(0.5, abs=0.2) and read["web"]["broken"] == 0
    assert (run / "checkpoints" / "last.ckpt").resolve().name == "tokens-000000000006144.ckpt"


def test_a_last_step_off_the_cadence_is_validated_too(corpus: Path, run: Path) -> None:
    assert train(corpus, run, **{"validation.every_tokens": 7 * 256}) == 0
    rows = RunDirectory(run).metrics().read()
    assert [row["step"] for row in rows if row["val/loss"] is not None] == [7, 14, 21, 24]


def test_eval_repeats_the_last_validation(
    corpus: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(corpus, run) == 0
    output = tmp_path / "eval.json"
    assert main(["eval", f"run={run}", f"output={output}", "trainer=cpu"]) == 0
    measured = json.loads(output.read_text())["results"]
    last = RunDirectory(run).metrics().read()[-1]
    for key in ("loss", "bits_per_byte", "loss/web", "bits_per_byte/books"):
        assert measured[key] == pytest.approx(last[f"val/{key}"], rel=1e-6)
    assert "the mix" in capsys.readouterr().out
    # A checkpoint file opens by itself, away from its run.
    lone = tmp_path / "lone.ckpt"
    lone.write_bytes((run / "checkpoints" / "last.ckpt").read_bytes())
    assert main(["eval", f"run={lone}", f"output={output}", "trainer=cpu"]) == 0
    assert json.loads(output.read_text())["results"] == measured
    state = torch.load(lone, weights_only=True)
    state["bitnet"]["format"] += 1
    torch.save(state, lone)
    assert main(["eval", f"run={lone}", "trainer=cpu"]) == 2
    assert f"checkpoint format {CHECKPOINT_FORMAT + 1}" in capsys.readouterr().err


def test_generate_completes_and_caching_changes_nothing(
    corpus: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(corpus, run) == 0
    texts = []
    for cache in ("true", "false"):
        capsys.readouterr()
        greedy = [f"run={run}", "prompt=the model", "sampling.temperature=0", f"cache={cache}"]
        assert main(["generate", *greedy, "sampling.max_new_tokens=20"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and texts[0].startswith("the model")
    assert main(["generate", f"run={run}", "sampling.top_p=2"]) == 2
    assert "sampling.top_p" in capsys.readouterr().err


def test_status_shows_progress(corpus: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(corpus, run) == 0
    capsys.readouterr()
    assert main(["status", str(run)]) == 0
    assert "finished" in capsys.readouterr().out


def test_data_inspect_counts_what_is_there(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "inspect", *tiny_overrides(corpus)]) == 0
    out = capsys.readouterr().out
    for part in ("web", "code", "books", "60", "50.00%", "realised"):
        assert part in out


def test_a_sweep_ends_with_one_table(
    corpus: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["-m", "linear=bitnet,dense", "seed=1,2", "callbacks=quiet"]
    arguments.append("hydra/launcher=basic")
    assert train(corpus, run, *arguments, **{"budget.tokens": 4 * 256}) == 0
    with (run / "sweep.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    found = {(row["linear.kind"], row["seed"]) for row in rows}
    assert found == {("bitnet", "1"), ("bitnet", "2"), ("dense", "1"), ("dense", "2")}
    assert len({row["val/loss"] for row in rows}) == 4
    assert (run / "sweep.png").stat().st_size > 0
    assert "linear.kind" in capsys.readouterr().out


def test_a_failed_job_does_not_stop_a_sweep(
    corpus: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["-m", "model.vocab_size=100,null", "callbacks=quiet"]
    assert train(corpus, run, *arguments, **{"budget.tokens": 256}) == 1
    captured = capsys.readouterr()
    assert "1 job(s) failed" in captured.err and "model.vocab_size: 100" in captured.err
    assert RunDirectory(run / "1").record()["state"] == "finished"
    with (run / "sweep.csv").open() as stream:
        states = [row["state"] for row in csv.DictReader(stream)]
    assert states == ["failed", "finished"]  # though the first never became a run


def test_resume_auto_takes_up_the_unfinished_run(
    corpus: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the machine caught fire")

    with monkeypatch.context() as patch:
        patch.setattr("bitnet.training.callbacks.sampler.Sampler._write", fail)
        with pytest.raises(RuntimeError, match="caught fire"):
            train(corpus, run)
    record = RunDirectory(run).record()
    assert record["state"] == "failed" and "caught fire" in record["error"]
    other = run.parent / "other"
    assert train(corpus, other, "resume=auto") == 0
    assert not other.exists()
    assert RunDirectory(run).record()["state"] == "finished"
    alone = run.parent / "alone" / "run"
    assert train(corpus, alone, "resume=auto") == 0
    assert (alone / "ternary.csv").read_bytes() == (run / "ternary.csv").read_bytes()


def test_an_exception_leaves_a_checkpoint_of_the_last_whole_step(
    corpus: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bitnet.training.module import PretrainingModule

    step = PretrainingModule.training_step

    def fail(self: Any, batch: Any, batch_idx: int) -> Any:
        if self.global_step == 5 and batch_idx % 2 == 1:  # in the middle of step 6
            raise RuntimeError("lost the GPU")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(PretrainingModule, "training_step", fail)
        with pytest.raises(RuntimeError, match="lost the GPU"):
            train(corpus, run)
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 5
    assert main(["train", f"resume={run}"]) == 0
    alone = run.parent / "alone"
    assert train(corpus, alone) == 0
    ours, theirs = (
        torch.load(each / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for each in (run, alone)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_interrupt_is_recorded_and_can_be_resumed(
    corpus: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr("bitnet.training.callbacks.sampler.Sampler._write", press)
        assert train(corpus, run) == 130
    signal.signal(signal.SIGINT, handler)  # Lightning leaves it ignored
    assert "interrupted" in capsys.readouterr().err
    assert RunDirectory(run).record()["state"] == "interrupted"
    assert main(["train", f"resume={run}"]) == 0
    assert RunDirectory(run).record()["state"] == "finished"


def test_without_a_compiler_auto_says_so_and_goes_on(
    corpus: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bitnet.training.compiling.shutil.which", lambda name: None)
    overrides = {"compile": "auto", "budget.tokens": 256, "callbacks.samples.every_tokens": 0}
    assert train(corpus, run, **overrides) == 0
    assert "no C++ compiler" in capsys.readouterr().out
    assert main(["train", f"resume={run}", "budget.tokens=512", "compile=always"]) == 2


def test_a_full_disk_stops_the_run_and_keeps_the_last_checkpoint(
    corpus: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save, calls = torch.save, []

    def fill(state: Any, stream: Any) -> None:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        save(state, stream)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_io.torch, "save", fill)
        assert train(corpus, run) == 2
    message = capsys.readouterr().err
    assert "no space left on the disk" in message and "resume" in message
    assert [file.name for file in run.glob("checkpoints/*.ckpt")]
    assert main(["train", f"resume={run}"]) == 0
    assert RunDirectory(run).record()["state"] == "finished"


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ({"model.vocab_size": 100}, ["model.vocab_size: 100", "257"]),
        ({"+mix.weights": "{web:0.6,code:0.3,books:0.2}"}, ["mix.weights", "1.1"]),
        ({"+mix.weights": "{web:0.5,coed:0.3,books:0.2}"}, ["coed", "code"]),
        ({"data.root": "nowhere"}, ["data.root", "nowhere"]),
        ({"trainer.accelerator": "gqu"}, ["trainer.accelerator", "gqu"]),
        ({"tokenizer": "missing/tokenizer.json"}, ["missing/tokenizer.json"]),
    ],
)
def test_faults_are_lines_and_leave_no_run(
    corpus: Path,
    run: Path,
    capsys: pytest.CaptureFixture[str],
    more: dict[str, object],
    parts: list[str],
) -> None:
    overrides = tiny_overrides(corpus, **more)
    assert main(["train", *overrides, f"run_dir={run}"]) == 2
    message = capsys.readouterr().err
    for part in parts:
        assert part in message
    assert "Traceback" not in message
    assert not run.exists()


def test_resuming_with_another_architecture_is_refused(
    corpus: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(corpus, run, **{"budget.tokens": 1024}) == 0
    assert main(["train", f"resume={run}", "model.dim=128", "linear.kind=dense"]) == 2
    message = capsys.readouterr().err
    assert "model.dim: the run has 64, asked is 128" in message
    assert "linear.kind: the run has bitnet, asked is dense" in message
    assert main(["train", f"resume={run}", "budget.tokens=2048"]) == 0
    assert RunDirectory(run).metrics().read()[-1]["tokens"] == 2048


def test_help_and_the_resolved_config_are_readable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0 and "bitnet <verb>" in capsys.readouterr().out
    assert main(["trian"]) == 2 and "did you mean 'train'" in capsys.readouterr().err
    assert main(["train", "--cfg", "job"]) == 0
    printed = capsys.readouterr().out
    assert "common_crawl: 0.67" in printed and "name: pocket-bitnet" in printed
