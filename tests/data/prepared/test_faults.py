"""What can go wrong while preparing: a full disk, broken records, damaged files."""

import errno
import io
import os
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from bitnet.data import DataError, LocalCorpus, Source
from bitnet.data.prepared import files, side
from tests.data.corpora import documents, json_lines, write
from tests.data.prepared.making import files_of, make, record, settings, shards_on_disk

SKIP = settings(range_bytes=2000, stop_at_broken=False)


def corpus(root: Path, broken: int = 0) -> dict[str, Source]:
    """One source of several shards, with some broken lines among its hundred documents."""
    lines = json_lines(documents("web", 100)).splitlines(keepends=True)
    for number in range(broken):
        lines.insert(20 * number + 10, b'{"text": "half\n')
    root.mkdir()
    (root / "web.jsonl").write_bytes(b"".join(lines))
    return LocalCorpus(root=str(root)).open()


class FullDisk(io.RawIOBase):
    """A file on a disk that has room for so many bytes more."""

    room = 0

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("wb")

    def write(self, content: Any) -> int:
        if len(memoryview(content).cast("B")) > FullDisk.room:
            raise OSError(FullDisk.why, os.strerror(FullDisk.why))
        FullDisk.room -= len(memoryview(content).cast("B"))
        return self._file.write(content)

    why = errno.ENOSPC

    def seek(self, *where: int) -> int:
        return self._file.seek(*where)

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def flush(self) -> None:
        if not self._file.closed:
            self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()
        super().close()


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EDQUOT], ids=["disk", "quota"])
@pytest.mark.parametrize("room", [0, 300, 9_000, 20_000])
def test_a_full_disk_is_one_line_and_what_is_finished_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, why: int
) -> None:
    sources = corpus(tmp_path / "corpus")
    make(tmp_path / "whole", sources, how=settings(range_bytes=2000))
    FullDisk.room, FullDisk.why = room, why
    with monkeypatch.context() as patch:
        for module in (files, side):
            patch.setattr(module, "open_part", lambda path: cast(BinaryIO, FullDisk(path)))
        with pytest.raises(DataError) as caught:
            make(tmp_path / "out", sources, how=settings(range_bytes=2000))
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert "no space is left" in message and "the same command again" in message
    assert os.strerror(why) in message
    left = files_of(tmp_path / "out")
    assert "manifest.json" not in left and not any(name.endswith(".part") for name in left)
    whole = files_of(tmp_path / "whole")
    assert all(whole[name] == content for name, content in left.items())
    make(tmp_path / "out", sources, how=settings(range_bytes=2000))
    assert files_of(tmp_path / "out") == whole


def test_the_kernels_own_full_disk(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no space is left"), files.full_disk_explained(tmp_path):
        Path("/dev/full").write_bytes(b"x")


def test_other_failures_of_the_disk_are_not_called_a_full_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input"), files.full_disk_explained(tmp_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_record_stops_the_work_with_file_and_line(tmp_path: Path, workers: int) -> None:
    sources = corpus(tmp_path / "corpus", broken=1)
    how = settings(range_bytes=10**9, workers=workers)
    with pytest.raises(DataError, match=r"^web.jsonl:11: broken JSON.*on_bad_record=skip"):
        make(tmp_path / "out", sources, how=how)
    # The next command may skip what this one stopped at.
    make(tmp_path / "out", sources, how=settings(range_bytes=10**9, stop_at_broken=False))
    assert record(shards_on_disk(tmp_path / "out", "web")[0])["broken"] == 1


def test_skipped_records_are_counted_and_the_first_are_told_with_their_lines(
    tmp_path: Path,
) -> None:
    sources = corpus(tmp_path / "corpus", broken=4)
    make(tmp_path / "out", sources, how=SKIP)
    records = [record(stem) for stem in shards_on_disk(tmp_path / "out", "web")]
    assert len(records) > 3 and sum(each["broken"] for each in records) == 4
    faults = [fault for each in records for fault in each["faults"]]
    assert [fault.split(": ")[0] for fault in faults] == [
        f"web.jsonl:{line}" for line in (11, 31, 51, 71)
    ]


def test_more_broken_records_than_the_limit_stop_the_work(tmp_path: Path) -> None:
    sources = corpus(tmp_path / "corpus", broken=4)
    make(tmp_path / "enough", sources, how=settings(stop_at_broken=False, bad_records_limit=4))
    with pytest.raises(DataError, match=r"^web.jsonl:71: .*bad_records_limit=3"):
        make(tmp_path / "out", sources, how=settings(stop_at_broken=False, bad_records_limit=3))


def test_a_damaged_file_names_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "corpus" / "web.jsonl.zst", documents("web", 100))
    path.write_bytes(path.read_bytes()[:-50])
    sources = LocalCorpus(root=str(tmp_path / "corpus")).open()
    with pytest.raises(DataError, match=r"web.jsonl.zst: truncated zstd file"):
        make(tmp_path / "out", sources, how=settings(workers=1))
