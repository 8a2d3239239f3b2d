"""Stopped in any way, the same command goes on, and the result is that of an undisturbed run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from bitnet.data import DataError, LocalCorpus, load_tokenizer
from bitnet.data.prepared import maker
from bitnet.data.prepared.jobs import ShardJob
from bitnet.data.prepared.lock import only_one
from bitnet.data.prepared.meter import Report
from bitnet.data.prepared.shard_record import ShardRecord
from tests.data.corpora import documents, seven_subsets, write
from tests.data.prepared.making import FRACTION, files_of, make, settings

ROOT = Path(__file__).parents[3]

RANGE = 90_000
PARTS = ("json", "train.tokens", "train.ends", "held_out.tokens", "held_out.origins")
SCRIPT = """
import sys
from pathlib import Path
from bitnet.data import LocalCorpus, load_tokenizer
from bitnet.data.prepared.jobs import ShardRules
from bitnet.data.prepared.prepare import Described, prepare
from bitnet.data.prepared.work import Settings

if __name__ == "__main__":
    sources = LocalCorpus(root=sys.argv[1]).open()
    how = Settings(ShardRules({fraction}), range_bytes={range_bytes}, workers=2)
    about = Described("test", "CC0", ("a note",))
    prepare(Path(sys.argv[2]), about, sources, load_tokenizer("bytes"), how)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources of eight shards each."""
    root = tmp_path_factory.mktemp("corpus")
    for name in ("web", "code"):
        write(root / f"{name}.jsonl", documents(name, 900, 300))
    return root


@pytest.fixture(scope="module")
def undisturbed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What must come out, however often the work is stopped."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    make(folder, LocalCorpus(root=str(corpus)).open(), how=settings(range_bytes=RANGE))
    return files_of(folder)


def started(script: Path, corpus: Path, out: Path, shards: int) -> subprocess.Popen[bytes]:
    """A process with two workers that has finished so many shards."""
    script.write_text(SCRIPT.format(fraction=FRACTION, range_bytes=RANGE))
    process = subprocess.Popen(
        [sys.executable, str(script), str(corpus), str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    patience = time.monotonic() + 60
    while len(list(out.glob("*/*.json"))) < shards:
        assert process.poll() is None and time.monotonic() < patience
        time.sleep(0.005)
    return process


def times(paths: Iterable[Path]) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in paths}


def test_killed_and_run_again_it_is_as_if_undisturbed(
    corpus: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(tmp_path / "script.py", corpus, out, shards=3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = list(out.glob("*/*.json"))
    assert 3 <= len(done) < sum(name.count(".train.tokens") for name in undisturbed)
    finished = [path.with_name(f"{path.stem}.{part}") for path in done for part in PARTS]
    before = times(finished)
    make(out, LocalCorpus(root=str(corpus)).open(), how=settings(range_bytes=RANGE))
    assert times(finished) == before
    assert files_of(out) == undisturbed


def test_workers_whose_parent_was_killed_do_no_harm(
    corpus: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(tmp_path / "script.py", corpus, out, shards=1)
    process.kill()
    process.wait()
    make(out, LocalCorpus(root=str(corpus)).open(), how=settings(range_bytes=RANGE))
    assert files_of(out) == undisturbed


def test_a_finished_folder_is_left_as_it_is(tmp_path: Path) -> None:
    sources = seven_subsets(tmp_path / "corpus").open()
    first = make(tmp_path / "out", sources)
    before = times((tmp_path / "out").rglob("*.*"))
    assert make(tmp_path / "out", sources) == first
    assert times((tmp_path / "out").rglob("*.*")) == before


@pytest.mark.parametrize(
    "harm",
    ["train.tokens", "held_out.ends", "json"],
    ids=["no tokens", "no ends", "broken record"],
)
def test_a_shard_that_lost_a_file_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    sources = seven_subsets(tmp_path / "corpus").open()
    make(tmp_path / "out", sources)
    before = files_of(tmp_path / "out")
    hurt = tmp_path / "out" / "github" / f"00001.{harm}"
    hurt.write_text("{") if harm == "json" else hurt.unlink()
    made = []
    original = maker.ShardMaker.__call__

    def counted(self: maker.ShardMaker, job: ShardJob, report: Report) -> ShardRecord:
        made.append((job.source, job.unit))
        return original(self, job, report)

    monkeypatch.setattr(maker.ShardMaker, "__call__", counted)
    make(tmp_path / "out", sources)
    assert made == [("github", 1)]
    assert files_of(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"held_out_fraction": 0.2}, ["validation.fraction was 0.1, is 0.2"]),
        ({"shuffle": False}, ["shuffle was True, is False"]),
        ({"range_bytes": 5000}, ["range_megabytes was 0.004, is 0.005"]),
        ({"shuffle": False, "range_bytes": 5000}, ["range_megabytes was", "shuffle was"]),
    ],
)
def test_other_settings_are_refused_one_by_one(
    tmp_path: Path, change: dict[str, object], words: list[str]
) -> None:
    sources = seven_subsets(tmp_path / "corpus").open()
    make(tmp_path / "out", sources)
    with pytest.raises(DataError) as caught:
        make(tmp_path / "out", sources, how=settings(**change))
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and all(word in message for word in words)
    assert message.count(" was ") == 1 + len(words)  # "was begun"


def test_another_input_or_tokenizer_is_refused(tmp_path: Path) -> None:
    sources = seven_subsets(tmp_path / "corpus").open()
    make(tmp_path / "out", sources)
    with pytest.raises(DataError, match=r"tokenizer was .*, is "):
        make(tmp_path / "out", sources, load_tokenizer("arithmetic"))
    del sources["github"]
    with pytest.raises(DataError, match=r"data.github was .*, is absent"):
        make(tmp_path / "out", sources)
    write(tmp_path / "corpus" / "github.jsonl", documents("github", 301))
    with pytest.raises(DataError, match=r"data.github was 1 files, \d+ bytes, .*, is 1 files"):
        make(tmp_path / "out", LocalCorpus(root=str(tmp_path / "corpus")).open())


def test_how_the_work_is_done_may_change(tmp_path: Path) -> None:
    sources = seven_subsets(tmp_path / "corpus").open()
    first = make(tmp_path / "out", sources)
    assert make(tmp_path / "out", sources, how=settings(workers=2, stop_at_broken=False)) == first


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    sources = seven_subsets(tmp_path / "corpus").open()
    with pytest.raises(DataError, match="holds other things"):
        make(tmp_path / "corpus", sources)
    assert not (tmp_path / "corpus" / "plan.json").exists()


def test_two_processes_cannot_prepare_one_folder(tmp_path: Path) -> None:
    sources = seven_subsets(tmp_path / "corpus").open()
    (tmp_path / "out").mkdir()
    with only_one(tmp_path / "out"), pytest.raises(DataError, match="another process"):
        make(tmp_path / "out", sources)
    make(tmp_path / "out", sources)


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    sources = seven_subsets(tmp_path / "corpus").open()
    make(tmp_path / "out", sources)
    part = tmp_path / "out" / "github" / ".00000.train.tokens.1234.part"
    part.write_bytes(b"half")
    make(tmp_path / "out", sources)
    assert not part.exists()


def test_a_manifest_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = seven_subsets(tmp_path / "corpus").open()
    seen = []
    make(
        tmp_path / "out",
        sources,
        on_progress=lambda progress: seen.append(
            (progress.shards, (tmp_path / "out" / "manifest.json").exists())
        ),
    )
    assert seen[-1][0] == max(shards for shards, _ in seen) > 10
    assert not any(there for _, there in seen)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))["format"] == 1
