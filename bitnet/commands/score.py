"""``bitnet data score``: Ask-LLM scores of every document, resumable, and what they would keep."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console

from bitnet.commands.score_report import score_tables
from bitnet.commands.scorer import Scorer, open_scorer
from bitnet.config import ConfigError
from bitnet.config.scoring import ScoreConfig
from bitnet.data import DataError, Source, load_tokenizer
from bitnet.data.errors import describe_unknown
from bitnet.data.prepared.lock import only_one
from bitnet.data.quality.identity import Identity, corpus_identity
from bitnet.data.quality.scores import ROW, ScoreFolder, UnitScores
from bitnet.data.quality.texts import Text, texts_of
from bitnet.data.records import Unit
from bitnet.data.tokenizer import Tokenizer
from bitnet.evaluation.ask_llm import scores

_WINDOW_BATCHES = 16
_SECONDS_BETWEEN_LINES = 15.0


def score(config: ScoreConfig) -> ScoreFolder:
    """Score what has no score yet, then print what could be kept.

    Raises:
        ConfigError: a setting is unusable.
        DataError: the corpus is, or the folder holds scores of another making.
    """
    problems = config.problems()
    if problems:
        raise ConfigError("\n".join(problems))
    sources = _sources(config)
    units = {name: source.units(_range_bytes(config)) for name, source in sources.items()}
    if config.report.only:
        folder = ScoreFolder.open(Path(config.output))
    else:
        folder = score_sources(config, sources, units)
    Console().print(*score_tables(folder, units, config.report), sep="\n")
    return folder


def score_sources(
    config: ScoreConfig, sources: Mapping[str, Source], units: Mapping[str, tuple[Unit, ...]]
) -> ScoreFolder:
    """Score the documents that have no score in ``config.output``."""
    tokenizer, scorer = load_tokenizer(config.tokenizer), open_scorer(config.scorer)
    identity = corpus_identity(sources, _range_bytes(config))
    identity |= _scorer_identity(config, scorer, tokenizer)
    folder = ScoreFolder.begin(Path(config.output), identity)
    with only_one(Path(config.output)):
        _score_units(config, sources, units, folder, scorer, tokenizer)
    return folder


def _score_units(
    config: ScoreConfig,
    sources: Mapping[str, Source],
    units: Mapping[str, tuple[Unit, ...]],
    folder: ScoreFolder,
    scorer: Scorer,
    tokenizer: Tokenizer,
) -> None:
    console, total = Console(), sum(map(len, units.values()))
    work = ((name, number) for name in units for number in range(len(units[name])))
    for done, (name, number) in enumerate(work, 1):
        unit = folder.unit(name, number)
        if unit.finished:
            continue
        says = _Progress(console, f"{done}/{total} {name}", sources[name], units[name][number])
        texts = texts_of(says.source, says.unit, tokenizer, unit.numbers(), says.unusable)
        for count in _scored(texts, scorer, config.scorer.batch, unit):
            says.add(count)
        unit.finish()
        says.tell()


def _scored(texts: Iterator[Text], scorer: Scorer, batch: int, unit: UnitScores) -> Iterator[int]:
    """Score in batches of documents of like length, so that little is padded; keep each at once."""
    while window := list(islice(texts, batch * _WINDOW_BATCHES)):
        asked = [(scorer.question.document(text.head), text) for text in window]
        asked.sort(key=lambda each: len(each[0]))
        for start in range(0, len(asked), batch):
            some = asked[start : start + batch]
            found = scores(scorer.model, scorer.question, [ids for ids, _ in some])
            rows = [(t.number, s, t.tokens) for (_, t), s in zip(some, found, strict=True)]
            unit.append(np.array(rows, ROW))
            yield len(rows)


class _Progress:
    """A line now and then, and one at the end of a unit, with the records that have no score."""

    def __init__(self, console: Console, name: str, source: Source, unit: Unit) -> None:
        self.source, self.unit = source, unit
        self._console, self._name = console, name
        self._count = self._unusable = 0
        self._fault = ""
        self._began = self._told = time.monotonic()

    def add(self, count: int) -> None:
        self._count += count
        if time.monotonic() - self._told > _SECONDS_BETWEEN_LINES:
            self.tell()

    def unusable(self, number: int, problem: str) -> None:
        self._unusable += 1
        self._fault = self._fault or f"{self.source.place(self.unit, number)}: {problem}"

    def tell(self) -> None:
        self._told = time.monotonic()
        speed = self._count / max(1e-3, self._told - self._began)
        line = f"{self._name}: {self._count:,} documents scored, {speed:.3g} a second"
        if self._unusable:
            line += f"; {self._unusable:,} unusable records have none, the first {self._fault}"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def _scorer_identity(config: ScoreConfig, scorer: Scorer, tokenizer: Tokenizer) -> Identity:
    """What a score depends on besides the corpus."""
    question = scorer.question
    asked = repr((question.prompt([]), question.spellings)).encode()
    return {
        "scorer.model": scorer.fingerprint,
        "scorer.prompt": hashlib.sha256(asked).hexdigest()[:16],
        "scorer.max_tokens": question.max_tokens,
        "scorer.dtype": config.scorer.dtype,
        "tokenizer": tokenizer.fingerprint,
    }


def _sources(config: ScoreConfig) -> dict[str, Source]:
    """The sources to score, by name."""
    try:
        found = config.data.open(config.subsets)
    except DataError as error:  # the corpora speak of the mix, which asks for sources elsewhere
        raise DataError(str(error).replace("mix:", "subsets:", 1)) from error
    names = sorted(config.subsets or found)
    for name in names:
        if name not in found:
            raise DataError(f"subsets: {describe_unknown(name, found)}")
    return {name: found[name] for name in names}


def _range_bytes(config: ScoreConfig) -> int:
    return int(config.range_megabytes * 1e6)
