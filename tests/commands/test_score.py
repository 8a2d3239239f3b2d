"""``bitnet data score`` end to end: both kinds of models, a kill in the middle, the tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bitnet.cli import main
from bitnet.commands import score as scoring
from bitnet.commands.build import build_net
from bitnet.commands.scorer import open_scorer
from bitnet.config.compose import train_config
from bitnet.config.saved import kinds_of, to_plain
from bitnet.config.scoring import ScorerSpec
from bitnet.data.quality.scores import ScoreFolder
from bitnet.evaluation.ask_llm import CausalModel, Ids, Question
from bitnet.training.checkpoint_io import CHECKPOINT_FORMAT, AtomicCheckpointIO
from tests.commands.conftest import tiny_overrides, write_corpus
from tests.evaluation.models import save_peer

BATCH = 3
DOCUMENTS = 8  # of each of three sources: batches of 3, 3 and 2
BYTES = 257  # ids of the tokenizer "bytes"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_corpus(tmp_path_factory.mktemp("score") / "corpus", documents=DOCUMENTS)
    broken = (root / "web.jsonl").read_text() + '{"text": ""}\n'
    (root / "web.jsonl").write_text(broken)
    return root


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peer")
    save_peer(folder, chat=True)
    return folder


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ours whose tokenizer spells "yes" in three bytes."""
    folder = tmp_path_factory.mktemp("run")
    values = {"budget.tokens": 4 * 64, "model.max_sequence_length": 512, "batch.size": 4}
    given = tiny_overrides(write_corpus(folder / "corpus"), run_dir=folder / "run", **values)
    given = [each for each in given if "mix" not in each]
    assert main(["train", *given, "mix=uniform"]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def checkpoint(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained checkpoint file of ours, by itself."""
    given = tiny_overrides(corpus, **{"model.max_sequence_length": 512})
    given = [each for each in given if "mix" not in each]
    config = train_config([*given, "mix=uniform", f"model.vocab_size={BYTES}"])
    header = {"format": CHECKPOINT_FORMAT, "config": to_plain(config), "tokens": 0}
    weights = {f"net.{name}": value for name, value in build_net(config).state_dict().items()}
    path = tmp_path_factory.mktemp("checkpoint") / "some.ckpt"
    whole = {"bitnet": {**header, "kinds": kinds_of(config)}, "state_dict": weights}
    AtomicCheckpointIO().save_checkpoint(whole, path)
    return path


def arguments(corpus: Path, model: Path, out: Path, **more: object) -> list[str]:
    given = {
        "data": "local",
        "data.root": corpus,
        "tokenizer": "bytes",
        "output": out,
        "scorer.model": model,
        "scorer.batch": BATCH,
        "scorer.device": "cpu",
        "scorer.max_tokens": 400,
        **more,
    }
    return ["data", "score", *(f"{key}={value}" for key, value in given.items())]


@pytest.fixture(scope="module")
def whole(corpus: Path, peer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All documents, scored without a break."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert main(arguments(corpus, peer, out)) == 0
    return out


def scores_of(out: Path, source: str = "web") -> list[tuple[int, float, int]]:
    return ScoreFolder.open(out).read(source, 0).tolist()


@pytest.mark.parametrize("kind", ["peer", "checkpoint", "run_dir"])
def test_every_document_has_the_score_it_has_alone(
    kind: str, corpus: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(kind)
    assert main(arguments(corpus, model, tmp_path / "out")) == 0
    scorer = open_scorer(ScorerSpec(str(model), max_tokens=400, device="cpu"))
    texts = [json.loads(line)["text"] for line in (corpus / "web.jsonl").open()]
    found = scores_of(tmp_path / "out")
    assert [number for number, _, _ in found] == list(range(DOCUMENTS))  # the empty one has none
    for number, score, tokens in found:
        document = scorer.question.document(texts[number])
        alone = scoring.scores(scorer.model, scorer.question, [document])[0]
        assert score == pytest.approx(alone, abs=1e-6, rel=1e-4)
        assert tokens == len(texts[number].encode()) + 1


class Killed(BaseException):
    """As if by a signal."""


def counting(
    monkeypatch: pytest.MonkeyPatch, stop_at: int | None = None
) -> tuple[list[Ids], Callable[[], None]]:
    """Count the documents that the model has answered for; die in call number ``stop_at``."""
    answered: list[Ids] = []
    real, calls = scoring.scores, [0]

    def spy(model: CausalModel, question: Question, documents: list[Ids]) -> list[float]:
        calls[0] += 1
        if calls[0] == stop_at:
            raise Killed
        found = real(model, question, documents)
        answered.extend(documents)
        return found

    monkeypatch.setattr(scoring, "scores", spy)
    return answered, lambda: monkeypatch.setattr(scoring, "scores", real)


@pytest.mark.parametrize("stop_at", [2, 6])
def test_killed_and_run_again_nothing_is_scored_twice(
    stop_at: int,
    corpus: Path,
    peer: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered, undo = counting(monkeypatch, stop_at)
    with pytest.raises(Killed):
        main(arguments(corpus, peer, tmp_path / "out"))
    assert len(answered) == sum((3, 3, 2, 3, 3)[: stop_at - 1])
    undo()
    more, _ = counting(monkeypatch)
    assert main(arguments(corpus, peer, tmp_path / "out")) == 0
    assert len(answered) + len(more) == 3 * DOCUMENTS
    for source in ("books", "code", "web"):
        one, two = scores_of(whole, source), scores_of(tmp_path / "out", source)
        assert [row[::2] for row in one] == [row[::2] for row in two]
        np.testing.assert_allclose([r[1] for r in one], [r[1] for r in two], rtol=1e-4)
    more.clear()
    assert main(arguments(corpus, peer, tmp_path / "out")) == 0
    assert not more


def test_another_model_prompt_or_corpus_is_refused(
    corpus: Path, peer: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(arguments(corpus, peer, out, subsets="[web]")) == 0
    for other, message in (
        (arguments(corpus, checkpoint, out, subsets="[web]"), "scorer.model was"),
        (arguments(corpus, peer, out, subsets="[web]", **{"scorer.chat": True}), "scorer.prompt"),
        (arguments(corpus, peer, out, subsets="[code]"), "data.code was absent"),
        (arguments(corpus, peer, out, subsets="[web]", range_megabytes=1), "range_bytes was"),
    ):
        capsys.readouterr()
        assert main(other) == 2
        assert message in capsys.readouterr().err


def test_the_table_says_what_is_kept(
    corpus: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = sorted(scores_of(whole) + scores_of(whole, "code"), key=lambda row: -row[1])
    best = sum(tokens for _, _, tokens in rows[:4])
    report = {
        "subsets": "[web,code]",
        "report.only": True,
        "report.epochs_of": 10 * best,
        "report.fractions": "[0.25]",
        "report.token_budgets": f"[{best}]",
    }
    assert main(arguments(corpus, Path("nowhere"), whole, **report)) == 0
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines()]
    table = {
        cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for cells in lines[1:] if cells[2:]
    }
    assert table["web"][0] == "8" and table["all"][0] == "16"
    documents, _, lowest, epochs = table["best 25 % of documents"]
    assert (documents, epochs) == ("4", "10") and float(lowest) == pytest.approx(
        rows[3][1], rel=0.01
    )
    assert [row[0] for name, row in table.items() if name.endswith(" tokens")] == ["4"]


def test_unusable_records_are_told(
    peer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_corpus(tmp_path / "corpus", documents=2)
    (root / "web.jsonl").write_text('{"text": "fine"}\n{broken\n{"text": 5}\n\n')
    assert main(arguments(root, peer, tmp_path / "out", subsets="[web]")) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("1/1 web: 1 documents scored")
    assert "; 2 unusable records have none, the first web.jsonl:2: broken JSON" in line


def test_chat_template_surrounds_the_prompt(peer: Path) -> None:
    plain = open_scorer(ScorerSpec(str(peer), max_tokens=400, device="cpu")).question
    chat = open_scorer(ScorerSpec(str(peer), max_tokens=400, device="cpu", chat=True)).question
    assert chat.before == "User: " + plain.before
    assert chat.after == plain.after + "\nAssistant:"


def test_a_document_cannot_spell_a_special_token(peer: Path) -> None:
    question = open_scorer(ScorerSpec(str(peer), max_tokens=400, device="cpu")).question
    end = question.encode("<|endoftext|>")
    assert len(end) == 1 and end[0] not in question.document("a <|endoftext|> b")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("scorer.model=nowhere", "scorer.model: 'nowhere' is neither a run of bitnet nor"),
        ("scorer.batch=0", "scorer.batch: 0 must be at least 1"),
        ("scorer.dtype=fp8", "scorer.dtype: 'fp8' is unknown"),
        ("scorer.device=tpu", "scorer.device: 'tpu' is unknown"),
        ("scorer.max_tokens=20", "leaves no room for a document in 20"),
        ("subsets=[wbe]", "subsets"),
        ("report.fractions=[1.5]", "report.fractions: 1.5 is not between 0 and 1"),
        ("scorer.modle=x", "scorer.modle"),
    ],
)
def test_unusable_settings_are_one_line(
    override: str, message: str, corpus: Path, peer: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = [*arguments(corpus, peer, tmp_path / "out"), override]
    assert main(given) == 2
    # What transformers says while it opens a model comes before.
    *before, error = capsys.readouterr().err.strip().splitlines()
    assert message in error and not any("bitnet" in line for line in before)


def test_our_models_have_no_chat_template(
    corpus: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"scorer.chat": True}
    assert main(arguments(corpus, checkpoint, tmp_path / "out", **more)) == 2
    assert "scorer.chat: models of bitnet have no chat template" in capsys.readouterr().err
