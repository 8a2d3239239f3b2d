"""Ways to carry out a pass, through whole runs: what they change and what they must not."""

import json
from pathlib import Path

import pytest

from bitnet.cli import main
from bitnet.commands.opened import open_model
from bitnet.native import page_pool
from bitnet.runs import CLOCK_COLUMNS, RunDirectory
from tests.commands.conftest import tiny_overrides
from tests.commands.test_ddp import finish

SHORT = {"budget.tokens": 8 * 4 * 64, "callbacks.samples.every_tokens": 0}


def _rows(corpus: Path, run: Path, **values: object) -> list[dict[str, object]]:
    """Metrics of a run, without what the clock says."""
    overrides = tiny_overrides(corpus, **{**SHORT, **values})
    assert main(["train", *overrides, f"run_dir={run}"]) == 0
    rows = RunDirectory(run).metrics().read()
    return [{k: v for k, v in row.items() if k not in CLOCK_COLUMNS} for row in rows]


def test_memory_is_saved_without_changing_a_run(corpus: Path, tmp_path: Path) -> None:
    """Made anew: the same bits. The loss in chunks: the same numbers but for their rounding."""
    plain = _rows(corpus, tmp_path / "plain", **{"linear.engine": "reference"})
    anew = _rows(
        corpus, tmp_path / "anew", **{"linear.engine": "reference", "batch.recompute": "blocks"}
    )
    assert anew == plain
    chunked = _rows(
        corpus, tmp_path / "chunked", **{"linear.engine": "reference", "batch.loss_chunk": 37}
    )
    for row, expected in zip(chunked, plain, strict=True):
        assert row["train/loss"] == pytest.approx(expected["train/loss"], rel=1e-4)
    assert chunked[-1]["val/loss"] == pytest.approx(plain[-1]["val/loss"], rel=1e-4)


@pytest.mark.skipif(page_pool.why_not() is not None, reason="there is no pool here")
def test_a_run_takes_the_allocator_that_it_is_told(corpus: Path, tmp_path: Path) -> None:
    """Its tensors are too small for the pool: that numbers stay is shown with larger ones."""
    page_pool.use_pages()
    _rows(corpus, tmp_path / "system", **{"trainer.cpu_allocator": "system"})
    assert not page_pool.uses_pages()
    _rows(corpus, tmp_path / "pages")
    assert page_pool.uses_pages()
    page_pool.use_system()


def test_documents_are_apart_in_training_validation_and_evaluation(
    corpus: Path, tmp_path: Path
) -> None:
    masked = _rows(corpus, tmp_path / "masked", **{"batch.document_mask": "true"})
    plain = _rows(corpus, tmp_path / "plain")
    assert masked[0]["train/loss"] != plain[0]["train/loss"]
    output = tmp_path / "eval.json"
    opened = open_model(str(tmp_path / "masked"), "last")
    assert opened.net.passes.end_token == opened.tokenizer.eos_id
    assert main(["eval", f"run={tmp_path / 'masked'}", f"output={output}", "trainer=cpu"]) == 0
    measured = json.loads(output.read_text())["results"]["loss"]
    assert measured == pytest.approx(masked[-1]["val/loss"], rel=1e-6)
    assert open_model(str(tmp_path / "plain"), "last").net.passes.end_token is None


def test_a_resumed_run_keeps_its_mask(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _rows(corpus, tmp_path / "run")
    changed = ["train", f"resume={tmp_path / 'run'}", "batch.document_mask=true"]
    assert main(changed) != 0
    assert "batch.document_mask: the run has False, asked is True" in capsys.readouterr().err


def test_the_record_says_what_shares_of_the_peak_are_of(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    _rows(corpus, run, **{"linear.engine": "int8"})
    said, rows = RunDirectory(run).record()["arithmetic"], RunDirectory(run).metrics().read()
    assert said["peak"] > 0 and said["peak_eight_bit"] > 0 and "measured" in said["peak_source"]
    assert 0 < said["eight_bit_per_token"] < said["flops_per_token"] / 3
    rate, row = rows[-1]["tokens_per_second"], rows[-1]
    assert row["mfu"] == pytest.approx(rate * said["flops_per_token"] / said["peak"], rel=1e-3)
    seconds = (said["flops_per_token"] - said["eight_bit_per_token"]) / said["peak"]
    seconds += said["eight_bit_per_token"] / said["peak_eight_bit"]
    assert row["peak_share"] == pytest.approx(rate * seconds, rel=1e-3)


def test_two_ranks_do_the_same(corpus: Path, tmp_path: Path) -> None:
    """Gradients of the loss in chunks and of blocks made anew are averaged as any others."""
    settings: dict[str, object] = {
        **SHORT,
        "batch.micro": 1,
        "batch.loss_chunk": 37,
        "batch.recompute": "blocks",
        "batch.document_mask": "true",
        "linear.engine": "reference",
    }
    one = finish(corpus, tmp_path / "one", **settings)
    ddp = {"trainer": "ddp", "trainer.accelerator": "cpu"}
    two = finish(corpus, tmp_path / "two", **settings, **ddp)
    for alone, together in zip(one.metrics().read(), two.metrics().read(), strict=True):
        assert together["train/loss"] == pytest.approx(alone["train/loss"], rel=1e-4)
