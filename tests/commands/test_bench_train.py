"""`bitnet bench train`: a tiny run, isolation of peers, the arithmetic of rows and of the roof."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.train import measure as measuring
from benchmarks.train.contender import Contender
from benchmarks.train.measure import Measured, has_room, measure
from benchmarks.train.memory import tensor_peak
from benchmarks.train.peers import ABSENT
from benchmarks.train.rows import rows_of
from benchmarks.train.runner import Runner
from benchmarks.train.shapes import SHAPES
from benchmarks.train.task import Task
from benchmarks.train.worker import Worker, brief, serve
from bitnet.commands.bench import bench
from bitnet.config import ConfigError
from bitnet.native import page_pool
from bitnet.nn import LinearSpec, Transformer
from bitnet.quant import EngineUnavailableError

TINY = SHAPES["tiny"]


@pytest.mark.slow
def test_a_tiny_run_with_a_peer_that_is_not_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, plot = tmp_path / "train.json", tmp_path / "train.svg"
    bench(
        [
            *("train", "shapes=tiny", "rounds=3", "threads=1", "compile=never", "roofline=true"),
            *("contenders=bitnet int8,pypi bitnet", f"peers={tmp_path}", "cpu_allocator=system"),
            *(f"output={output}", f"plot={plot}"),
        ]
    )
    report = json.loads(output.read_text())
    dense, int8, absent = report["rows"]
    assert [row["contender"] for row in report["rows"]][:2] == ["dense", "bitnet int8"]
    assert dense["ratio_to_dense"] == 1.0 and dense["peak_to_dense"] == 1.0
    for row in (dense, int8):
        seconds = row["milliseconds"] / 1e3
        assert row["tokens_per_second"] == pytest.approx(TINY.tokens / seconds, rel=0.01)
        assert row["fastest_milliseconds"] <= row["milliseconds"]
        assert row["peak_bytes"] > 0 and 0 < row["mfu"] < 1 and row["compiled"] is False
        assert row["tensor_bytes"] > 3 * 4 * 100_000  # masters and both averages of AdamW
    assert int8["compute"] == "bfloat16"
    assert absent["note"] == ABSENT and "milliseconds" not in absent
    assert report["versions"]["torch"] == version("torch") and report["machine"]["threads"] == 1
    assert "roofline" in report and "shapes=tiny" in report["command"]
    assert '"contenders=bitnet int8,pypi bitnet"' in report["command"]
    assert "cpu_allocator=system" in report["command"]
    assert report["machine"]["cpu_allocator"] == "system"
    printed = capsys.readouterr().out
    assert ABSENT in printed and max(map(len, printed.splitlines())) <= 100
    page = output.with_suffix(".md").read_text()
    assert "| bitnet int8 (eager) |" in page and "Roofline" in page
    assert "<svg" in plot.read_text()


class Broken(Contender):
    """Fails when it is compiled, or always."""

    def __init__(self, kind: str, error: Exception | None = None) -> None:
        self.kind, self.error = kind, error

    def build(self, task: Task) -> Transformer:
        if self.error is not None:
            raise self.error
        model = Transformer(task.shape.model(), LinearSpec("dense"))

        def refuse(mode: str = "default") -> None:
            raise RuntimeError("cannot be traced\nat all")

        model.compile_blocks = refuse  # type: ignore[method-assign]
        return model


def test_a_peer_that_cannot_be_compiled_runs_eagerly_and_says_so(
    monkeypatch: pytest.MonkeyPatch, fresh_compiler: None
) -> None:
    gc.collect()  # what earlier tests left would else be freed amid the measurement
    monkeypatch.setattr("benchmarks.train.worker.warm_up", lambda device, compiled: None)
    facts = Worker(Task("peer"), Broken("peer")).start()
    assert facts["compiled"] is False and "cannot be traced" in facts["note"]
    assert facts["peak_bytes"] > 0 and facts["free_bytes"] > 0 and facts["loss"] > 0
    with pytest.raises(RuntimeError, match="cannot be traced"):  # ours must compile
        Worker(Task("ours"), Broken("ours")).start()


@pytest.mark.skipif(page_pool.why_not() is not None, reason="there is no pool here")
@pytest.mark.parametrize(
    ("own", "asked", "pages"),
    [("", "pages", True), ("", "system", False), ("system", "pages", False)],
)
def test_tensors_come_from_where_task_and_contender_say(own: str, asked: str, pages: bool) -> None:
    contender = Broken("peer", ValueError("enough"))
    contender.cpu_allocator = own
    page_pool.use_system()
    with pytest.raises(ValueError, match="enough"):
        Worker(Task("x", TINY, compiled=False, cpu_allocator=asked), contender).start()
    assert page_pool.uses_pages() == pages
    page_pool.use_system()


def test_what_a_worker_dies_of_is_an_answer_in_one_line() -> None:
    missing = EngineUnavailableError("engine 'x' cannot run: no such device")
    answers: list[str] = []
    worker = Worker(Task("ours", compiled=False), Broken("ours", missing))
    serve(worker, ["start\n"], answers.append)
    assert json.loads(answers[0])["error"].startswith("not available: engine 'x'")
    assert brief(RuntimeError("a" * 500 + "\nb")).count("\n") == 0
    assert len(brief(RuntimeError("a" * 500))) == 160


def test_tensors_are_counted_at_their_most() -> None:
    kept = torch.zeros(1000, 1000)

    def step() -> None:
        first = torch.ones(500, 1000)
        second = torch.ones(2_000_000, dtype=torch.uint8)
        del first
        torch.ones(100_000) + second[:100_000]

    # At most: both, then the smaller ones beside the second alone.
    most = tensor_peak("cpu", [kept, kept], step)
    assert most == kept.nbytes + 500 * 1000 * 4 + 2_000_000


def test_a_process_that_ends_or_hangs_is_told_from_one_that_answers() -> None:
    with closing(Runner(Task("nobody", threads=1))) as lost:
        assert "KeyError: 'nobody'" in lost.ask("start")["error"]
    with closing(Runner(Task("dense", threads=1, compiled=False), patience=0.0)) as slow:
        assert slow.ask("start") == {"error": "no answer within 0 s"}


def fake(seconds: Sequence[float], dense: Sequence[float], peak: int) -> Measured:
    facts = {"compiled": True, "compile_seconds": 1.0, "peak_bytes": peak, "page_faults": 3}
    return Measured(facts | {"tensor_bytes": peak // 2, "note": ""}, list(seconds), list(dense))


def test_ratios_are_medians_within_rounds() -> None:
    dense = [1.0, 2.0, 4.0]
    found = {
        "dense": fake(dense, dense, 100),
        "bitnet int8": fake([0.5, 1.8, 2.0], dense, 80),
        "torchao": Measured({"error": "out of memory"}),
    }
    first, ours, failed = rows_of(TINY, ["torchao", "bitnet int8", "dense"], found, 1e12)[:3]
    assert first["contender"] == "dense" and first["ratio_to_dense"] == 1.0
    by_name = {row["contender"]: row for row in (ours, failed)}
    assert by_name["bitnet int8"]["ratio_to_dense"] == 0.5  # of 0.5, 0.9 and 0.5
    assert by_name["bitnet int8"]["peak_to_dense"] == 0.8
    assert by_name["bitnet int8"]["tensors_to_dense"] == 0.8
    assert by_name["bitnet int8"]["mfu"] == pytest.approx(TINY.flops() / 1.8 / 1e12, abs=1e-4)
    assert by_name["torchao"] == {
        "shape": TINY.label, "contender": "torchao", "kind": "peer", "note": "out of memory"
    }  # fmt: skip
    assert "mfu" not in rows_of(TINY, ["dense"], found, None)[0]


class Puppet:
    """A runner without a process; the third step of "naive fp32" fails."""

    alive: list[str]
    most = 0
    order: list[str]

    def __init__(self, task: Task) -> None:
        self.task, self.steps = task, 0
        Puppet.alive.append(task.contender)
        Puppet.most = max(Puppet.most, len(Puppet.alive))

    def close(self) -> None:
        Puppet.alive.remove(self.task.contender)

    def ask(self, command: str) -> dict[str, Any]:
        if command == "start":
            free = 700 - 200 * len(Puppet.alive)
            return {"free_bytes": free, "peak_bytes": 100, "note": ""}
        Puppet.order.append(self.task.contender)
        self.steps += 1
        if self.task.contender == "naive fp32" and self.steps == 3:
            return {"error": "fell over"}
        return {"seconds": 2.0 if self.task.contender == "dense" else 1.0}


def test_contenders_take_turns_in_groups_that_memory_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring, "Runner", Puppet)
    monkeypatch.setattr(Puppet, "alive", [], raising=False)
    monkeypatch.setattr(Puppet, "order", [], raising=False)
    names = ["dense", "bitnet reference", "bitnet int8", "naive fp32", "onebitllms"]
    found = measure(Task(""), names, rounds=2, say=lambda line: None)
    assert has_room({"free_bytes": 300}, {"peak_bytes": 100})  # one may take three times it
    assert not has_room({"free_bytes": 299}, {"peak_bytes": 100})
    assert Puppet.most == 3 and not Puppet.alive
    forth = ["dense", "bitnet reference", "bitnet int8"]
    assert Puppet.order[3:9] == forth + forth[::-1]  # after a round that does not count
    assert found["bitnet int8"].seconds == [1.0, 1.0] and found["bitnet int8"].dense == [2.0, 2.0]
    assert found["dense"].seconds == [2.0] * 4  # two groups
    assert found["naive fp32"].facts == {"error": "fell over"}
    assert found["onebitllms"].facts == {"error": "runs on CUDA only"}


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("shapes=1.3b_laier", "1.3b_layer"),
        ("contenders=bitnet int9", "bitnet int8"),
        ("device=gpu", "cpu, cuda"),
        ("compile=yes", "auto, always, never"),
        ("compile_mode=max-autotune", "max-autotune-no-cudagraphs"),
        ("cpu_allocator=page", "did you mean 'pages'"),
        ("plot=ratios.jpg", ".png"),
        ("roofline=1", "neither true nor false"),
        ("threads=0", "above 0"),
        ("round=3", "rounds"),
    ],
)
def test_wrong_keys_and_values_are_named(argument: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        bench(["train", argument])
