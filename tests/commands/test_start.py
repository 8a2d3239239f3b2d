"""`init_from` and the quantisation warm-up, end to end: a dense LLaMA becomes a BitNet."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bitnet.cli import main
from bitnet.commands.train import resume, train
from bitnet.config import ConfigError
from bitnet.config.compose import train_config
from bitnet.data import load_tokenizer
from bitnet.runs import RunDirectory
from bitnet.training.module import PretrainingModule
from tests.commands.conftest import SOURCES, tiny_overrides, write_corpus

transformers = pytest.importorskip("transformers")

STEP = 4 * 64
VOCABULARY = 320  # of the bytes tokenizer, rounded up


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaMA of Hugging Face's that has learned the corpus a little."""
    root = tmp_path_factory.mktemp("llama")
    text = "".join(
        json.loads(line)["text"] + "\n"
        for source in SOURCES
        for line in (write_corpus(root / source, 60) / f"{source}.jsonl").open()
    )
    ids = torch.tensor(load_tokenizer("bytes").encode(text))
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        rms_norm_eps=1e-5,
    )
    model = transformers.LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=8e-3)
    for _ in range(80):
        starts = torch.randint(0, len(ids) - 64, (8,))
        batch = torch.stack([ids[start : start + 64] for start in starts.tolist()])
        model(batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(root / "model", max_shard_size="100KB")
    return root / "model"


def overrides(corpus: Path, llama: Path, run: Path, **values: object) -> list[str]:
    """A run of 24 steps from ``llama``, with a row a step."""
    settings: dict[str, object] = {
        "init_from": llama,
        "run_dir": run,
        "trainer.threads": 1,
        "model.heads": 2,
        "model.head_dim": "null",
        "model.sub_norm": "false",
        "model.tie_embeddings": "false",
        "schedule": "constant",
        "schedule.peak": 1e-3,
        "logger.every_tokens": STEP,
        "callbacks": "quiet",
        **values,
    }
    return tiny_overrides(corpus, **settings)


def start(corpus: Path, llama: Path, run: Path, **values: object) -> list[dict[str, Any]]:
    train(train_config(overrides(corpus, llama, run, **values)))
    return RunDirectory(run).metrics().read()


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(
        run / "checkpoints" / "last.ckpt", weights_only=True
    )["state_dict"]
    return found


WARM = {"quantization.warmup_tokens": 16 * STEP}


def test_a_warmed_up_bitnet_begins_where_the_dense_model_stood(
    corpus: Path, llama: Path, tmp_path: Path
) -> None:
    dense = start(corpus, llama, tmp_path / "dense", linear="dense")
    warm = start(corpus, llama, tmp_path / "warm", **WARM)
    cold = start(corpus, llama, tmp_path / "cold")
    before = dense[0]["train/loss"]
    assert before < 3.0  # ln(257) is 5.55: the weights did arrive
    assert abs(warm[0]["train/loss"] - before) < 0.1
    assert cold[0]["train/loss"] > before + 0.5
    shares = [row["quantization"] for row in warm]
    assert shares == pytest.approx([min(1.0, step / 16) for step in range(1, 25)])
    assert shares[15:] == [1.0] * 9
    assert "quantization" not in cold[0]
    record = RunDirectory(tmp_path / "warm").record()
    assert record["init_from"] == {"place": str(llama), "fresh_parameters": 0}
    assert f"init_from: {llama}" in (tmp_path / "warm" / "config.yaml").read_text()
    with pytest.raises(ConfigError, match=r"quantization\.shape: the run has linear"):
        resume(tmp_path / "warm", ["quantization.shape=sigmoid"])


def test_stopped_amid_the_warmup_it_goes_on_to_the_bit_without_the_source(
    corpus: Path, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, alone, broken = tmp_path / "llama", tmp_path / "alone", tmp_path / "broken"
    shutil.copytree(llama, source)
    muon = {**WARM, "optimizer": "muon"}
    start(corpus, source, alone, **muon)
    step = PretrainingModule.training_step

    def fail(self: Any, batch: Any, batch_idx: int) -> Any:
        if self.global_step == 7:
            raise RuntimeError("lost the machine")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(PretrainingModule, "training_step", fail)
        with pytest.raises(RuntimeError, match="lost the machine"):
            start(corpus, source, broken, **muon)
    shutil.rmtree(source)  # what a resumed run no longer needs
    resume(broken, [])
    ours, theirs = weights_of(broken), weights_of(alone)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    rows = [RunDirectory(each).metrics().read() for each in (broken, alone)]
    for name in ("train/loss", "val/loss", "lr", "quantization"):
        assert [row[name] for row in rows[0]] == [row[name] for row in rows[1]]


def test_stopped_before_its_first_checkpoint_it_begins_with_the_weights_again(
    corpus: Path, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("lost the machine")

    with monkeypatch.context() as patch:
        patch.setattr(PretrainingModule, "training_step", fail)
        with pytest.raises(RuntimeError, match="lost the machine"):
            start(corpus, llama, tmp_path / "broken")
    resume(tmp_path / "broken", [])
    rows = RunDirectory(tmp_path / "broken").metrics().read()
    assert rows[0]["train/loss"] == start(corpus, llama, tmp_path / "alone")[0]["train/loss"]


@pytest.mark.parametrize("as_file", [False, True], ids=["run directory", "checkpoint file"])
def test_a_run_of_ours_can_be_the_source(
    corpus: Path, llama: Path, tmp_path: Path, as_file: bool
) -> None:
    first = tmp_path / "first"
    start(corpus, llama, first, linear="dense", **{"budget.tokens": 2 * STEP})
    source = first / "checkpoints" / "last.ckpt" if as_file else first
    short = {"budget.tokens": STEP, "schedule.peak": 1e-12}
    rows = start(corpus, source, tmp_path / "second", linear="dense", **short)
    assert rows[-1]["val/loss"] == pytest.approx(
        RunDirectory(first).metrics().read()[-1]["val/loss"], rel=1e-5
    )
    with pytest.raises(ConfigError, match=r"it would fit with model\.ffn_dim=128"):
        start(corpus, source, tmp_path / "third", **{"model.ffn_dim": 256})
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (
            {"model.layers": 3, "model.heads": 4},
            ["init_from: model.layers: 3", "layers=2 model.heads=2"],
        ),
        ({"init_from": "nowhere"}, ["init_from: 'nowhere' is neither a folder nor a name"]),
        ({"init_from": "someone/unknown"}, ["init_from: 'someone/unknown' is no folder here"]),
        ({"init_from": "missing.ckpt"}, ["init_from: missing.ckpt"]),
        ({"linear": "dense", "quantization.warmup": 0.1}, ["quantization.warmup: dense layers"]),
        ({"quantization.warmup_tokens": 10**9}, ["quantization.warmup_tokens: 1000000000 exceeds"]),
        ({"quantization.shape": "sigmod"}, ["quantization.shape", "'sigmoid'"]),
        ({"schedule.warmup_tokens": 10**9}, ["schedule.warmup_tokens", "budget.tokens=6144"]),
    ],
)
def test_faults_are_lines_and_leave_no_run(
    corpus: Path,
    llama: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    values: dict[str, object],
    parts: list[str],
) -> None:
    run = tmp_path / "run"
    assert main(["train", *overrides(corpus, llama, run, **values)]) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message and not run.exists()
    for part in parts:
        assert part in message


def test_another_tokenizer_and_fresh_sub_norms_are_said_aloud(
    corpus: Path, llama: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "llama"
    shutil.copytree(llama, source)
    (source / "tokenizer.json").write_text("{}")
    short = {"budget.tokens": STEP, "model.sub_norm": "true"}
    start(corpus, source, tmp_path / "run", **short)
    assert "brings a tokenizer, and tokenizer=bytes is another" in caplog.text
    assert "4 sub-norm gains start at 1" in caplog.text
    assert RunDirectory(tmp_path / "run").record()["init_from"]["fresh_parameters"] == 4
