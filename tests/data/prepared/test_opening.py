"""A folder is opened only if it is finished, whole, unchanged, and of the right tokenizer."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bitnet.data import DataError, load_tokenizer
from bitnet.data.prepared import checking
from bitnet.data.prepared.checking import find_damage
from bitnet.data.prepared.corpus import PreparedCorpus
from tests.data.corpora import BYTES, seven_subsets
from tests.data.prepared.making import make, opened

TOKENS = "github/00000.train.tokens"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("opening")
    make(root / "out", seven_subsets(root / "corpus").open())
    return root / "out"


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy that may be harmed, with the times of its files."""
    shutil.copytree(original, tmp_path / "out")
    return tmp_path / "out"


def edit(path: Path, back_in_time: bool = False) -> None:
    """Change one token; `back_in_time` gives the file its old time again."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    if back_in_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def fault(folder: Path, verify: str = "changed") -> str:
    with pytest.raises(DataError) as caught:
        opened(folder, verify)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_what_was_prepared_opens_and_says_what_it_is(folder: Path) -> None:
    prepared = opened(folder)
    assert list(prepared.sources) == sorted(prepared.sources) and len(prepared.sources) == 7
    prepared.refuse_tokenizer(load_tokenizer(str(folder)))  # its own tokenizer lies in it
    prepared.refuse_fraction(0.1)
    assert PreparedCorpus(path=str(folder)).notes() == ["a note"]


@pytest.mark.parametrize("verify", ["changed", "always"])
def test_an_edited_shard_is_refused_with_both_checksums(folder: Path, verify: str) -> None:
    stored = dict(opened(folder).manifest.shards["github"][0].files())[TOKENS]
    edit(folder / TOKENS)
    message = fault(folder, verify)
    assert str(folder / TOKENS) in message and stored.checksum in message
    assert checking.checksum_of(folder / TOKENS) in message


def test_an_edit_that_hides_its_time_is_found_when_everything_is_hashed(folder: Path) -> None:
    edit(folder / TOKENS, back_in_time=True)
    opened(folder)
    assert "was changed" in fault(folder, "always")
    opened(folder, "never")


@pytest.mark.parametrize("verify", ["changed", "always", "never"])
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-2]), "bytes, the manifest says"),
    ],
    ids=["gone", "cut"],
)
def test_a_file_that_is_gone_or_cut_is_refused_in_every_mode(
    folder: Path, harm: Callable[[Path], None], words: str, verify: str
) -> None:
    harm(folder / "wikipedia/00000.held_out.origins")
    message = fault(folder, verify)
    assert words in message and "wikipedia/00000.held_out.origins" in message


def test_only_what_changed_is_hashed_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    original = checking.checksum_of

    def noted(path: Path) -> str:
        hashed.append(path.relative_to(folder).as_posix())
        return original(path)

    monkeypatch.setattr(checking, "checksum_of", noted)
    opened(folder)
    assert hashed == []
    os.utime(folder / TOKENS, ns=(1, 1))
    opened(folder)
    opened(folder)
    assert hashed == [TOKENS]
    (folder / "verified.json").write_text("{")
    opened(folder)
    assert len(hashed) > 50


def test_a_folder_that_cannot_be_written_is_hashed_each_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "verified.json").unlink()

    def refuse(path: Path, content: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(checking, "write_json", refuse)
    opened(folder)
    assert not (folder / "verified.json").exists()
    edit(folder / TOKENS)
    assert "was changed" in fault(folder)


def test_every_damage_is_found_at_once(folder: Path) -> None:
    manifest = opened(folder).manifest
    edit(folder / TOKENS, back_in_time=True)
    (folder / "arxiv/00000.train.ends").unlink()
    read: list[int] = []
    damage = list(find_damage(folder, manifest, read.append))
    assert len(damage) == 2 and "arxiv" in damage[0] and "github" in damage[1]
    assert sum(read) == checking.bytes_of(manifest)


def test_another_tokenizer_or_split_is_refused(folder: Path) -> None:
    prepared, other = opened(folder), load_tokenizer("arithmetic")
    with pytest.raises(DataError) as caught:
        prepared.refuse_tokenizer(other)
    assert all(
        part in str(caught.value)
        for part in ("'bytes'", "'arithmetic'", BYTES.fingerprint[:12], other.fingerprint[:12])
    )
    with pytest.raises(DataError, match=r"validation.fraction: .* with 0.1, not 0.05"):
        prepared.refuse_fraction(0.05)


def test_what_is_no_prepared_folder_is_refused(tmp_path: Path, folder: Path) -> None:
    assert "no such folder" in fault(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "has no manifest.json" in fault(tmp_path / "empty")
    path = folder / "manifest.json"
    plain = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**plain, "format": 2}))
    assert "format 2" in fault(folder)
    path.write_text(json.dumps({**plain, "sources": {"web": {}}}))
    assert "is not a manifest" in fault(folder)
    path.write_text("[]")
    assert "holds a list" in fault(folder)


def test_settings_that_cannot_be_are_named() -> None:
    assert [line.split(":")[0] for line in PreparedCorpus(verify="allways").problems()] == [
        "path",
        "verify",
    ]
    assert "did you mean 'always'?" in PreparedCorpus(path="x", verify="allways").problems()[0]
    with pytest.raises(DataError, match="tokens, not documents"):
        PreparedCorpus(path="x").open()


def test_a_fingerprint_changes_with_any_file_of_its_source_alone(folder: Path) -> None:
    before = opened(folder).fingerprint()
    path = folder / "manifest.json"
    plain = json.loads(path.read_text("utf-8"))
    files = plain["sources"]["book"]["shards"][1]["train"]["files"]
    files["tokens"]["checksum"] = "0" * 32
    path.write_text(json.dumps(plain))
    after = opened(folder, "never").fingerprint()
    assert [name for name in before if before[name] != after[name]] == ["book"]
