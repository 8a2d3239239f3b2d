"""`bitnet bench data`: a tiny run of ours, a peer that isn't there, and the arithmetic of rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from benchmarks.data import ours
from benchmarks.data.big_set import blow_up
from benchmarks.data.contender import Contender
from benchmarks.data.flatness import drift, many_documents
from benchmarks.data.launch import launch
from benchmarks.data.measure import check, measure, shares
from benchmarks.data.ours import Prepared, Stream, module_of
from benchmarks.data.roster import CONTENDERS
from benchmarks.data.rows import rows_of
from benchmarks.data.task import BATCH, LLAMA, SAMPLE, Task
from benchmarks.data.tree import resident_bytes
from benchmarks.data_feed import task_for
from bitnet.commands.bench import bench
from bitnet.config import ConfigError
from bitnet.data import DataError
from bitnet.data.prepared.corpus import PreparedCorpus
from tests.data.corpora import documents, seven_subsets, write


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return seven_subsets(tmp_path_factory.mktemp("text")).root


@pytest.fixture
def task(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setattr(ours, "PREPARERS", 0)
    return replace(task_for(root, "bytes", str(tmp_path), 300_000), seconds=0.01)


@pytest.mark.slow
def test_a_tiny_run_of_prepared_tokens_and_a_peer_that_is_not_installed(
    root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CONTENDERS["litdata"], "needs", "no_such_package")
    output = tmp_path / "report.json"
    bench(
        [
            *("data", f"root={root}", "tokenizer=bytes", "tokens=40000", "rounds=1", "workers=0"),
            *("contenders=bitnet prepared,litdata", f"output={output}", f"folder={tmp_path}/kept"),
        ]
    )
    report = json.loads(output.read_text())
    own, peer = report["rows"]
    assert own["contender"] == "bitnet prepared" and own["tokens_per_second"] > 0
    assert own["disk_bytes"] > 0 and own["resume_seconds"] > 0 and own["peak_bytes"] > 2**20
    assert own["share_samples"] == 40000 // SAMPLE // BATCH * BATCH
    assert "ratio" not in own  # there is no peer to compare with
    assert peer["note"] == "not installed"
    assert report["versions"]["torch"] == version("torch")
    printed = capsys.readouterr().out
    assert "not installed" in printed
    assert max(map(len, printed.splitlines())) <= 100
    assert (tmp_path / "kept" / "bitnet_prepared" / "manifest.json").is_file()


def test_the_stream_is_measured_and_goes_on(task: Task) -> None:
    stream = replace(task, contender="bitnet stream")
    answer = measure(Stream(), stream, 257)
    assert answer["batches"] * BATCH * SAMPLE >= stream.tokens
    assert answer["tokens_per_second"] > 0 and answer["first_batch_seconds"] > 0
    assert answer["settled_tokens_per_second"] > 0
    assert shares(Stream(), stream)["share_error"] < 0.3
    resumed = Stream().resume(replace(stream, tokens=40_000))
    assert resumed.seconds is not None and "sample" in resumed.note


class Repeating(Contender):
    """A pass of three batches, made by hand."""

    name = "repeating"

    def __init__(self, batch: torch.Tensor, sources: list[int]) -> None:
        self.batch, self.sources, self.passes = batch, sources, 0

    def open(self, task: Task) -> Repeating:
        return self

    def __iter__(self):  # type: ignore[no-untyped-def]
        self.passes += 1
        return iter([self.batch] * 3)

    def look(self, batch: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
        return batch, self.sources


def test_a_finite_loader_is_iterated_again_without_its_first_batches(task: Task) -> None:
    loader = Repeating(torch.zeros(BATCH, SAMPLE, dtype=torch.int32), [0] * BATCH)
    answer = measure(loader, replace(task, tokens=5 * BATCH * SAMPLE, seconds=0.0), 10)
    assert answer["batches"] >= 5 and loader.passes >= 3


def test_shares_are_the_largest_distance_from_a_weight(task: Task) -> None:
    loader = Repeating(torch.zeros(BATCH, SAMPLE, dtype=torch.int32), [3] * 4 + [2] * 4)
    answer = shares(loader, replace(task, tokens=2 * BATCH * SAMPLE))
    assert answer == {"share_error": 0.35, "share_samples": 2 * BATCH}  # c4: 0.5 against 0.15


@pytest.mark.parametrize(
    "batch",
    [
        torch.zeros(BATCH, SAMPLE - 1, dtype=torch.int32),
        torch.zeros(BATCH, SAMPLE, dtype=torch.int16),
        torch.full((BATCH, SAMPLE), 10, dtype=torch.int64),
    ],
)
def test_another_kind_of_batch_is_not_timed(batch: torch.Tensor) -> None:
    with pytest.raises(AssertionError):
        check(Repeating(batch, []), batch, 10)


def test_ratios_are_medians_within_rounds_and_failures_are_notes() -> None:
    tasks = {name: Task(name, "", "", "") for name in CONTENDERS}
    speeds = {"raw tokenizer": [10, 20, 40], "bitnet stream": [9, 16, 20], "datasets": [1, 2, 4]}
    speeds |= {"bitnet prepared": [60, 60, 60], "grain": [10, 20, 30], "litdata": [1, 1, 1]}
    results = {
        tasks[name]: [{"tokens_per_second": speed} for speed in each]
        for name, each in speeds.items()
    }
    for answer in results[tasks["bitnet stream"]]:  # the second half is what counts
        answer["settled_tokens_per_second"] = answer["tokens_per_second"]
        answer["tokens_per_second"] //= 2
    results[tasks["mosaicml-streaming"]] = [{"error": "out of order"}]
    rows = {
        row["contender"]: row
        for row in rows_of(list(CONTENDERS), {name: {} for name in tasks}, results)
    }
    assert rows["bitnet stream"]["ratio"] == 0.8
    assert rows["datasets"]["ratio"] == 0.1
    assert rows["bitnet prepared"]["ratio"] == 3.0  # the best peer is grain
    assert rows["mosaicml-streaming"]["note"] == "out of order"


def test_what_a_process_died_of_is_one_line(task: Task) -> None:
    failed = launch("ceiling", replace(task, contender="raw tokenizer", root="/no/folder"))
    assert "no folder" in failed["error"] and "\n" not in failed["error"]


def test_memory_is_that_of_the_whole_tree() -> None:
    alone = resident_bytes(os.getpid())
    child = subprocess.Popen(
        [sys.executable, "-c", "print(1, flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    both = resident_bytes(os.getpid())
    child.communicate(b"\n")
    assert both > alone + 2**22


def test_a_set_blown_up_is_opened_and_gone_on_with_late(task: Task, tmp_path: Path) -> None:
    own = replace(task, contender="bitnet prepared")
    assert Prepared().prepare(own) > 0
    big = blow_up(own.own_folder(), tmp_path / "big", 2 * len(LLAMA), 10_000_000)
    assert {len(shards) for shards in big.shards.values()} == {2}
    corpus = PreparedCorpus(path=str(tmp_path / "big"))
    module = module_of(own, corpus)
    module.load_state_dict({**module.state_dict(), "samples": 8 * 10**6})
    assert next(iter(module.train_dataloader()))["tokens"].shape == (BATCH, SAMPLE)


def test_drift_reads_every_document(tmp_path: Path) -> None:
    path = many_documents(tmp_path, 40_000)
    found = drift(path, "bytes", int(path.stat().st_size * 0.85))
    assert found["documents"] >= 40_000 and found["most_bytes"] >= found["least_bytes"] > 0


@pytest.mark.parametrize(
    ("argument", "error", "said"),
    [
        ("workes=1", ConfigError, "workers"),
        ("workers=two", ConfigError, "0,1,2"),
        ("tokens=0", ConfigError, "above 0"),
        ("contenders=litdat", DataError, "litdata"),
    ],
)
def test_wrong_keys_and_values_are_named(argument: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        bench(["data", argument])


def test_a_missing_subset_is_named(tmp_path: Path) -> None:
    write(tmp_path / "githib.jsonl", documents("githib", 3))
    with pytest.raises(DataError, match="arxiv"):
        task_for(str(tmp_path), "bytes", str(tmp_path), 1)
