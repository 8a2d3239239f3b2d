"""What every contender is asked to do, in a form that travels to its process as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from bitnet.data import LocalCorpus, Source, Tokenizer, load_tokenizer

LLAMA = {
    "arxiv": 0.025,
    "book": 0.045,
    "c4": 0.15,
    "common_crawl": 0.67,
    "github": 0.045,
    "stackexchange": 0.02,
    "wikipedia": 0.045,
}
"""Shares of the tokens, by name in alphabetical order: the index of a source is its place here."""

PREDICTED = 2048
SAMPLE = PREDICTED + 1
BATCH = 8
RANGE_BYTES = 1 << 28


@cache
def _tokenizer(name: str) -> Tokenizer:
    return load_tokenizer(name)


@dataclass(frozen=True)
class Task:
    """One measurement of one contender.

    Attributes:
        contender: its name in the table of contenders.
        root: folder of the text.
        subsets: file or folder of each source of the mix below `root`.
        tokenizer: file or name of the tokenizer.
        folder: where contenders that prepare keep what they made.
        tokens: fewest tokens that are delivered, and those that the shares are taken over.
        workers: worker processes of the loader.
        cores: cores that the process may use; 0 means all.
        seconds: least time that batches are delivered for.
        samples: where the resumed run stands.
        tagged: whether the source of each sample must be told, at whatever cost.
    """

    contender: str
    root: str
    tokenizer: str
    folder: str
    subsets: dict[str, str] = field(default_factory=dict, hash=False)
    tokens: int = 6_000_000
    workers: int = 0
    cores: int = 0
    seconds: float = 1.0
    samples: int = 1_000_000
    tagged: bool = False

    @staticmethod
    def from_json(text: str) -> Task:
        return Task(**json.loads(text))

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @property
    def counted(self) -> int:
        """Samples that the shares are taken over: whole batches, at least one."""
        return max(self.tokens // SAMPLE // BATCH, 1) * BATCH

    def own_folder(self) -> Path:
        """Where this contender alone keeps what it prepares."""
        return Path(self.folder) / self.contender.replace(" ", "_")

    def load_tokenizer(self) -> Tokenizer:
        return _tokenizer(self.tokenizer)

    def corpus(self) -> LocalCorpus:
        return LocalCorpus(name="bench", root=self.root, subsets=dict(self.subsets))

    def sources(self) -> dict[str, Source]:
        return self.corpus().open()

    def texts(self, name: str) -> Iterator[str]:
        """The documents of one source in the order of its files."""
        source = self.sources()[name]
        for unit in source.units(RANGE_BYTES):
            for record in source.read(unit):
                if record.text:
                    yield record.text
