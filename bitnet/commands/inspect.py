"""``bitnet data inspect``: what a mix really holds, before anything is trained on it.

Every record is read and counted; tokens are counted on the first megabytes of each source and
scaled by bytes (marked ≈) unless the source is smaller than that. The realised share comes from the
very function that deals samples to sources in training.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bitnet.commands.build import mix_of
from bitnet.config import ConfigError, TrainConfig, validate
from bitnet.data import DataError, Source, Tokenizer, load_tokenizer, weights_problems
from bitnet.data.records import Record, Selection
from bitnet.data.sampler import source_of
from bitnet.training.display import short

_TOKENISED_BYTES = 4_000_000
_BATCH_BYTES = 200_000
_DEALT_SAMPLES = 20_000
_EXCERPT_CHARACTERS = 240


@dataclass
class Contents:
    """What one source holds.

    Attributes:
        documents: usable records.
        broken: records that cannot be used, the first of them explained in ``fault``.
        empty: records without text.
        bytes: UTF-8 bytes of text.
        tokens: counted, or scaled from a part if not ``exact``.
        excerpt: the beginning of the first document.
    """

    documents: int = 0
    broken: int = 0
    empty: int = 0
    bytes: int = 0
    tokens: float = 0.0
    exact: bool = True
    fault: str = ""
    excerpt: str = ""


def inspect(config: TrainConfig) -> dict[str, Contents]:
    """Read every source of the mix, print what is there and return it.

    Raises:
        ConfigError: the mix does not fit the corpus.
    """
    validate(config)
    tokenizer = load_tokenizer(config.tokenizer)
    sources = config.data.open()
    problems = weights_problems(config.mix, sources)
    if problems:
        raise ConfigError("\n".join(f"mix: {line}" for line in problems))
    mix = mix_of(config)
    contents = {name: read_source(sources[name], tokenizer) for name in mix}
    weights = tuple(mix.values())
    drawn = Counter(source_of(config.seed, i, weights) for i in range(_DEALT_SAMPLES))
    console = Console()
    console.print(_table(config, contents, drawn))
    for name, found in contents.items():
        excerpt = " ".join(found.excerpt[:_EXCERPT_CHARACTERS].split())
        console.print(f"[bold]{name}[/]", highlight=False)
        console.print(textwrap.indent(excerpt, "  "), highlight=False, markup=False)
        if found.fault:
            console.print(f"  first unusable record: {found.fault}", markup=False)
    return contents


def read_source(source: Source, tokenizer: Tokenizer) -> Contents:
    """Count everything in ``source``; a damaged file ends its own counting."""
    found, counter = Contents(), _TokenCounter(tokenizer)
    for file in range(len(source.files)):
        try:
            for record in source.read(file, Selection()):
                place = source.place(file, record.number)
                _add(found, counter, record, place)
        except DataError as error:
            found.fault = found.fault or str(error)
    counter.flush()
    found.exact = counter.bytes == found.bytes
    found.tokens = counter.tokens * found.bytes / counter.bytes if counter.bytes else 0.0
    return found


def _add(found: Contents, counter: _TokenCounter, record: Record, place: str) -> None:
    if record.text is None:
        found.broken += 1
        found.fault = found.fault or f"{place}: {record.problem}"
    elif not record.text.strip():
        found.empty += 1
    else:
        found.documents += 1
        found.excerpt = found.excerpt or record.text
        found.bytes += counter.add(record.text)


class _TokenCounter:
    """Counts tokens of the first megabytes it is given, in batches."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.tokens = self.bytes = self._held = 0
        self._texts: list[str] = []

    def add(self, text: str) -> int:
        """Take a document; its size in bytes."""
        size = len(text.encode("utf-8", "surrogatepass"))
        if self.bytes + self._held < _TOKENISED_BYTES:
            self._texts.append(text)
            self._held += size
            if self._held >= _BATCH_BYTES:
                self.flush()
        return size

    def flush(self) -> None:
        """Tokenise what is held; a document also costs its EOS."""
        self.tokens += sum(len(ids) + 1 for ids in self.tokenizer.encode_batch(self._texts))
        self.bytes += self._held
        self._texts, self._held = [], 0


def _table(config: TrainConfig, contents: dict[str, Contents], drawn: Counter[int]) -> Table:
    title = f"{config.data.name} with tokenizer {config.tokenizer}"
    table = Table("source", title=title, title_justify="left")
    epochs = f"epochs in {short(config.budget.tokens)}"
    for column in ("documents", "text", "tokens", "weight", "realised", epochs, "unusable"):
        table.add_column(column, justify="right")
    total = max(1, sum(drawn.values()))
    for index, (name, found) in enumerate(contents.items()):
        weight = config.mix[name]
        passes = weight * config.budget.tokens / found.tokens if found.tokens else float("inf")
        table.add_row(
            name,
            f"{found.documents:,}",
            f"{short(found.bytes)}B",
            f"{'' if found.exact else '≈'}{short(found.tokens)}",
            f"{weight:.2%}",
            f"{drawn[index] / total:.2%}",
            f"{passes:.3g}",
            f"{found.broken + found.empty:,}",
        )
    return table
